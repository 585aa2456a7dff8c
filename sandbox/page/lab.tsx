import type { FaultInfo } from '../web/wire.ts';
import { sandbox, slack } from './api.ts';
import { usePage } from './context.ts';
import { Traffic } from './traffic.tsx';

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
            <button
              type="button"
              class="chip"
              disabled={bridge !== 'up'}
              title="As SIGTERM does"
              onClick={() => act('stop')}
            >
              Stop it
            </button>
            <button
              type="button"
              class="chip"
              disabled={bridge !== 'up'}
              title="As SIGKILL does"
              onClick={() => act('kill')}
            >
              Kill it
            </button>
          </>
        )}
      </div>
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
    <section class="scenes" aria-label="Scenes">
      <h3>Scenes</h3>
      <div class="chips">
        {scenes.map(({ id, title, about }) => (
          <button
            key={id}
            type="button"
            class={`chip ${now?.id === id ? `scene-${now.state}` : ''}`}
            title={about}
            disabled={playing}
            onClick={() => void attempt(() => sandbox({ scene: id }))}
          >
            {title}
          </button>
        ))}
        {playing && (
          <button type="button" class="chip danger" onClick={() => void attempt(() => sandbox({ scene: '' }))}>
            Stop the scene
          </button>
        )}
      </div>
      <p class="note" role="status">
        {now && playing && `${scenes.find(({ id }) => id === now.id)?.about}`}
        {now?.state === 'done' && 'The scene is over. Everything went as expected.'}
        {now?.state === 'ended' && 'Ended.'}
        {now?.state === 'failed' && `Something did not go as expected: ${now.failures.join('; ')}`}
      </p>
    </section>
  );
}

/** One of each kind of thing that the scripted agent can do. */
const SAYINGS = [
  'say 40 words',
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
    <details class="sayings">
      <summary>What the scripted agent understands</summary>
      <div class="chips">
        {SAYINGS.map((text) => (
          <button key={text} type="button" class="chip" onClick={() => dispatch({ do: 'draft', text })}>
            {text}
          </button>
        ))}
      </div>
      <p class="note">THEN joins several of them; the agent echoes anything else.</p>
    </details>
  );
}

function Faults() {
  const { state, attempt } = usePage();
  const faults = state.hello?.faults ?? [];
  const armed = state.state?.armed ?? [];
  const chips = (side: FaultInfo['side']) =>
    faults
      .filter((fault) => fault.side === side)
      .map(({ id, title, about }) => (
        <button
          key={id}
          type="button"
          class="chip"
          title={about}
          onClick={() => void attempt(() => sandbox({ fault: id }))}
        >
          {title}
        </button>
      ));
  return (
    <details class="faults">
      <summary>Faults {armed.length > 0 && <span class="count">{armed.length} armed</span>}</summary>
      <h4>Slack</h4>
      <div class="chips">{chips('slack')}</div>
      {state.hello?.letta === 'scripted' && (
        <>
          <h4>Letta</h4>
          <div class="chips">{chips('letta')}</div>
        </>
      )}
      {armed.length > 0 && (
        <p class="note">
          Armed now: {armed.join('; ')}{' '}
          <button type="button" class="link" onClick={() => void attempt(() => slack('faults', { kind: 'clear' }))}>
            Clear Slack’s
          </button>
        </p>
      )}
    </details>
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
  return (
    <section class="gauges" aria-label="Budget">
      <h3>
        Slack’s limits <small>{limits === 'on' ? 'calls in the last 60 s' : 'off'}</small>
      </h3>
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
  );
}

/** The side panel: the bridge's state, scenes and faults, and the traffic. */
export function Lab() {
  return (
    <aside class="lab" aria-label="Behind the scenes">
      <BridgeRow />
      <Scenes />
      <Sayings />
      <Faults />
      <Gauges />
      <Traffic />
    </aside>
  );
}
