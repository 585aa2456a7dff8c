import type { ComponentChildren } from 'preact';
import type { FaultInfo } from '../web/wire.ts';
import { sandbox, slack } from './api.ts';
import { usePage } from './context.ts';
import { Traffic } from './traffic.tsx';

interface FoldProps {
  name: string;
  /** What is worth knowing while it is folded. */
  note?: string;
  open?: boolean;
  children: ComponentChildren;
}

/** A part of the side panel that folds away. */
function Fold({ name, note, open = false, children }: FoldProps) {
  return (
    <details class="fold" open={open}>
      <summary>
        {name} {note && <small>{note}</small>}
      </summary>
      {children}
    </details>
  );
}

interface ChoiceProps {
  title: string;
  about: string;
  kind?: string;
  disabled?: boolean;
  onChoose(): void;
}

/** A button that says what it does. */
function Choice({ title, about, kind = '', disabled = false, onChoose }: ChoiceProps) {
  return (
    <li>
      <button type="button" class={`choice ${kind}`} disabled={disabled} onClick={onChoose}>
        <strong>{title}</strong> <small>{about}</small>
      </button>
    </li>
  );
}

const BRIDGE = { up: 'running', down: 'down', changing: 'changing…' } as const;

function BridgeRow() {
  const { state, attempt } = usePage();
  const { bridge = 'changing', sockets = 0 } = state.state ?? {};
  const act = (what: string) => void attempt(() => sandbox({ bridge: what }));
  return (
    <section class="bridge" aria-label="Bridge">
      <p role="status">
        <span class={`lamp lamp-${bridge}`} aria-hidden="true" />
        Bridge <strong>{BRIDGE[bridge]}</strong>
        <small>
          {sockets} {sockets === 1 ? 'socket' : 'sockets'} to Slack
          {state.state && state.state.pending > 0 ? `, ${state.state.pending} not acked` : ''}
        </small>
      </p>
      <div>
        {bridge === 'down' ? (
          <button type="button" class="chip" onClick={() => act('start')}>
            Start
          </button>
        ) : (
          <>
            <button type="button" class="chip" disabled={bridge !== 'up'} onClick={() => act('stop')}>
              Stop it
            </button>
            <button type="button" class="chip" disabled={bridge !== 'up'} onClick={() => act('kill')}>
              Kill it
            </button>
          </>
        )}
      </div>
      <p class="note">Stop it: as SIGTERM does. Kill it: as SIGKILL does, in the middle of a sentence.</p>
    </section>
  );
}

function Scenes() {
  const { state, attempt } = usePage();
  const scenes = state.hello?.scenes ?? [];
  const now = state.state?.scene ?? null;
  const playing = now?.state === 'playing';
  if (state.hello?.letta === 'yours') {
    return (
      <p class="note">
        A real agent answers here: talk to it. Scenes and Letta’s faults work only with the scripted agent.
      </p>
    );
  }
  return (
    <Fold name="Scenes" note="play by themselves" open>
      <p class="note" role="status">
        {now && playing && `${scenes.find(({ id }) => id === now.id)?.title} plays …`}
        {now?.state === 'done' && 'The scene is over. Everything went as expected.'}
        {now?.state === 'ended' && 'Ended.'}
        {now?.state === 'failed' && `Something did not go as expected: ${now.failures.join('; ')}`}
      </p>
      {playing && (
        <button type="button" class="chip danger" onClick={() => void attempt(() => sandbox({ scene: '' }))}>
          Stop the scene
        </button>
      )}
      <ul class="choices">
        {scenes.map(({ id, title, about }) => (
          <Choice
            key={id}
            title={title}
            about={about}
            kind={now?.id === id ? `scene-${now.state}` : ''}
            disabled={playing}
            onChoose={() => void attempt(() => sandbox({ scene: id }))}
          />
        ))}
      </ul>
    </Fold>
  );
}

/** One of each kind of thing that the scripted agent can do. */
const SAYINGS = [
  'is the nightly build green?',
  'say hello',
  'report',
  'run bash touch hello.txt && echo made it',
  'write file poem.txt := roses are red',
  'ask Which color? | Red | Blue',
  'slow 120 words 100 ms',
  'reason then say: I have thought about it.',
  'error 500',
] as const;

function Sayings() {
  const { state, dispatch } = usePage();
  if (state.hello?.letta !== 'scripted') return null;
  return (
    <Fold name="What the scripted agent understands">
      <div class="chips">
        {SAYINGS.map((text) => (
          <button key={text} type="button" class="chip" onClick={() => dispatch({ do: 'draft', text })}>
            {text}
          </button>
        ))}
      </div>
      <p class="note">THEN joins several of them. To anything else it answers what it can do.</p>
    </Fold>
  );
}

function Faults() {
  const { state, attempt } = usePage();
  const faults = state.hello?.faults ?? [];
  const armed = state.state?.armed ?? [];
  const choices = (side: FaultInfo['side']) => (
    <ul class="choices">
      {faults
        .filter((fault) => fault.side === side)
        .map(({ id, title, about }) => (
          <Choice key={id} title={title} about={about} onChoose={() => void attempt(() => sandbox({ fault: id }))} />
        ))}
    </ul>
  );
  return (
    <Fold name="Faults" note={armed.length > 0 ? `${armed.length} armed` : ''}>
      {armed.length > 0 && (
        <p class="note">
          Armed now: {armed.join('; ')}{' '}
          <button type="button" class="link" onClick={() => void attempt(() => slack('faults', { kind: 'clear' }))}>
            Clear Slack’s
          </button>
        </p>
      )}
      <p class="side">Slack</p>
      {choices('slack')}
      {state.hello?.letta === 'scripted' && (
        <>
          <p class="side">Letta</p>
          {choices('letta')}
        </>
      )}
    </Fold>
  );
}

function Gauges() {
  const { state } = usePage();
  const { gauges = [], ratelimited = {}, limits = 'on', channels = [] } = state.state ?? {};
  const refused = Object.entries(ratelimited);
  const name = (key: string) =>
    key.replace(/ (\w+)$/, (_all, id: string) => {
      const channel = channels.find((each) => each.id === id);
      return channel ? ` in ${channel.kind === 'im' ? 'the DM' : `#${channel.name}`}` : ` in ${id}`;
    });
  const [fullest] = gauges;
  const note =
    limits === 'off' ? 'off' : fullest ? `${fullest.used} / ${fullest.limit} calls in a minute` : 'no calls yet';
  return (
    <Fold name="Slack’s limits" note={refused.length > 0 ? `${refused.length} × 429` : note}>
      <section class="gauges" aria-label="Budget">
        {gauges.length === 0 && <p class="note">No calls in the last minute.</p>}
        <ul>
          {gauges.slice(0, 5).map(({ key, used, limit }) => (
            <li key={key}>
              <span>{name(key)}</span>
              <meter min={0} max={limit} high={limit * 0.8} value={used} aria-label={name(key)} />
              <small>
                {used} / {limit}
              </small>
            </li>
          ))}
        </ul>
        {refused.length > 0 && (
          <p class="note bad">429: {refused.map(([method, times]) => `${method} × ${times}`).join(', ')}</p>
        )}
      </section>
    </Fold>
  );
}

/** The side panel: the bridge's state, scenes and faults, and the traffic. */
export function Lab() {
  const { state } = usePage();
  return (
    <aside class="lab" aria-label="Behind the scenes">
      <BridgeRow />
      <Scenes />
      <Sayings />
      <Faults />
      <Gauges />
      <Fold name="Traffic" note={state.traffic.length > 0 ? `${state.traffic.length} calls, events and frames` : ''}>
        <Traffic />
      </Fold>
    </aside>
  );
}
