import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { SeenMessage } from '../slack/control/api.ts';
import { slack } from './api.ts';
import { Composer } from './composer.tsx';
import { channelTitle, personOf, usePage } from './context.ts';
import { Home } from './home.tsx';
import { Message } from './message.tsx';
import { messagesOfThread } from './store.ts';
import { Welcome } from './welcome.tsx';

/** Messages of one author within this time share one heading. */
const TOGETHER_S = 300;

function goesOn(message: SeenMessage, before: SeenMessage | undefined): boolean {
  if (!before || before.deleted || before.ephemeral !== message.ephemeral) return false;
  const same = before.user === message.user && before.bot_id === message.bot_id && before.reply_count === 0;
  return same && Number(message.ts) - Number(before.ts) < TOGETHER_S;
}

interface ListProps {
  messages: readonly SeenMessage[];
  inPane: boolean;
  label: string;
  /** Identifies the conversation; when it changes, scroll to the end. */
  id: string;
  children?: ComponentChildren;
}

/** Follows the end while the person is there, and stays put while they read further up. */
function List({ messages, inPane, label, id, children }: ListProps) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    atEnd.current = true;
  }, [id]);
  useLayoutEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  });
  return (
    <div
      ref={box}
      class="list"
      role="log"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      onScroll={({ currentTarget }) => {
        atEnd.current = currentTarget.scrollHeight - currentTarget.scrollTop - currentTarget.clientHeight < 60;
      }}
    >
      {messages.map((message, at) => (
        <Message
          key={message.ts}
          message={message}
          inPane={inPane}
          goesOn={goesOn(message, messages[at - 1]) && !(inPane && at === 1)}
        />
      ))}
      {children}
    </div>
  );
}

/** "Agent is thinking…" */
function StatusLine({ channel, thread }: { channel: string; thread: string }) {
  const { state } = usePage();
  const status = state.state?.statuses.find((each) => each.channel === channel && each.thread_ts === thread);
  const bot = personOf(state, state.hello?.bot ?? '')?.real_name ?? 'Agent';
  return (
    <p class="status-line" role="status">
      {status && (
        <>
          <span class="pulse" aria-hidden="true" />
          {bot} {status.loading_messages[0] ?? status.status}
        </>
      )}
    </p>
  );
}

/** Slack tells an app nothing of a channel that it is not in. */
function AddAgent({ channel, name }: { channel: string; name: string }) {
  const { state, attempt } = usePage();
  const { bot = '' } = state.hello ?? {};
  const add = () => void attempt(() => slack('member', { channel, user: bot, joined: true, inviter: state.user }));
  return (
    <p class="add-agent">
      The agent is not in {name}, so it does not hear you here.
      <button type="button" class="button" onClick={add}>
        Add @{personOf(state, bot)?.name ?? 'agent'}
      </button>
    </p>
  );
}

export function Channel() {
  const { state, dispatch, attempt } = usePage();
  const { place } = state;
  const info = state.state?.channels.find(({ id }) => id === place.channel);
  const { user } = state;
  const im = info?.kind === 'im';
  useEffect(() => {
    if (im) void attempt(() => slack('open-home', { user, tab: place.tab }));
  }, [im, user, place.tab, attempt]);
  if (!info) return <section class="channel" />;
  const title = channelTitle(state, info);
  const named = im ? title : `#${title}`;
  const messages = (state.messages[info.id] ?? []).filter(
    ({ thread_ts, subtype }) => thread_ts === null || subtype === 'thread_broadcast',
  );
  // In a direct message, show the status line below the newest message that has one.
  const statusAt = state.state?.statuses.findLast(({ channel }) => channel === info.id)?.thread_ts;
  return (
    <section class="channel" aria-label={named}>
      <header class="bar">
        <h2>
          {im ? '' : info.kind === 'private' ? '🔒 ' : '# '}
          {title}
          {info.archived && <span class="badge">archived</span>}
        </h2>
        {im && (
          <div role="tablist" class="tabs">
            {(['home', 'messages'] as const).map((tab) => (
              <button
                key={tab}
                type="button"
                role="tab"
                aria-selected={place.tab === tab}
                onClick={() => dispatch({ do: 'go', place: { tab } })}
              >
                {tab === 'home' ? 'Home' : 'Messages'}
              </button>
            ))}
          </div>
        )}
      </header>
      {im && place.tab === 'home' ? (
        <Home />
      ) : (
        <>
          <List messages={messages} inPane={false} label={`Messages in ${named}`} id={`${user} ${info.id}`}>
            {messages.length === 0 && (
              <p class="empty">
                Nothing here yet.{' '}
                {info.hasBot && `${im ? 'Write to the agent,' : 'Mention the agent with @agent,'} or play a scene.`}
              </p>
            )}
          </List>
          {!info.hasBot && <AddAgent channel={info.id} name={named} />}
          {info.hasBot && place.thread === null && state.isWelcome && (
            <Welcome channel={info.id} thread={null} onClose={() => dispatch({ do: 'close-welcome' })} />
          )}
          {im && statusAt !== undefined && <StatusLine channel={info.id} thread={statusAt} />}
          <Composer key={`${user} ${info.id}`} channel={info.id} thread={null} to={named} />
        </>
      )}
    </section>
  );
}

export function ThreadPane() {
  const { state, dispatch, attempt } = usePage();
  const { channel, thread } = state.place;
  if (thread === null) return null;
  const messages = messagesOfThread(state.messages[channel] ?? [], thread);
  const info = state.state?.channels.find(({ id }) => id === channel);
  const session = state.state?.sessions.find((each) => each.channel === channel && each.thread_ts === thread);
  const where = info ? (info.kind === 'im' ? channelTitle(state, info) : `#${info.name}`) : '';
  return (
    <section class="thread" aria-label="Thread">
      <header class="bar">
        <h2>
          Thread <small>{where}</small>
        </h2>
        {session && <span class="badge">{session.status}</span>}
        {session?.status === 'processing' && (
          <button
            type="button"
            class="chip"
            onClick={() => void attempt(() => slack('stop-session', { channel, user: state.user, thread_ts: thread }))}
          >
            Stop the agent
          </button>
        )}
        <button
          type="button"
          class="icon"
          aria-label="Close thread"
          onClick={() => dispatch({ do: 'go', place: { thread: null } })}
        >
          ✕
        </button>
      </header>
      <List messages={messages} inPane label="Thread" id={thread}>
        {messages.length === 0 && <p class="empty">This message does not exist here.</p>}
      </List>
      <StatusLine channel={channel} thread={thread} />
      {info?.hasBot && state.isWelcome && state.state?.scene?.state !== 'playing' && (
        <Welcome channel={channel} thread={thread} onClose={() => dispatch({ do: 'close-welcome' })} />
      )}
      <Composer key={`${state.user} ${thread}`} channel={channel} thread={thread} to="the thread" />
    </section>
  );
}
