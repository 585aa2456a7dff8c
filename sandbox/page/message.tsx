import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { SeenMessage } from '../slack/control/api.ts';
import type { JsonObject } from '../slack/model.ts';
import { slack } from './api.ts';
import { Blocks } from './blocks.tsx';
import { personOf, timeOf, usePage } from './context.ts';
import type { OnAct } from './elements.tsx';
import { emoji, REACTIONS } from './emoji.ts';
import { permalink } from './links.ts';
import { Mrkdwn } from './rich-text.tsx';
import { isThreadUnread, messagesOfThread } from './store.ts';

const words = (value: unknown) => (typeof value === 'string' ? value : '');

export function Avatar({ id, name }: { id: string; name: string }) {
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 6, 7);
  const initials = name
    .split(' ')
    .map((part) => part[0] ?? '')
    .join('')
    .slice(0, 2);
  return (
    <span class={`avatar hue-${hue}`} aria-hidden="true">
      {initials}
    </span>
  );
}

function Files({ files }: { files: readonly JsonObject[] }) {
  if (files.length === 0) return null;
  return (
    <ul class="files">
      {files.map((file) => {
        const url = `/_page/files/${encodeURIComponent(words(file.id))}`;
        const picture = /^image\/(png|jpeg|gif|webp)$/.test(words(file.mimetype));
        return (
          <li key={words(file.id)}>
            {picture && <img src={url} alt={words(file.name)} />}
            <a href={url} target="_blank" rel="noreferrer">
              {words(file.name)}
            </a>
            <small>
              {words(file.pretty_type)} · {Number(file.size).toLocaleString('en')} bytes
            </small>
          </li>
        );
      })}
    </ul>
  );
}

function Reactions({ message, react }: { message: SeenMessage; react(name: string, remove: boolean): void }) {
  const { state } = usePage();
  const names = Object.entries(message.reactions);
  if (names.length === 0) return null;
  return (
    <div class="reactions">
      {names.map(([name, by]) => {
        const mine = by.includes(state.user);
        const who = by.map((id) => personOf(state, id)?.real_name ?? id).join(', ');
        return (
          <button
            key={name}
            type="button"
            class={mine ? 'mine' : ''}
            aria-pressed={mine}
            title={`${who} reacted with :${name}:`}
            onClick={() => react(name, mine)}
          >
            {emoji(name)} {by.length}
          </button>
        );
      })}
    </div>
  );
}

/** Buttons that are one stop of the Tab key; the arrow keys lead from one to the next. */
function Toolbar({ label, children }: { label: string; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const buttons = () => [...(box.current?.querySelectorAll('button') ?? [])];
  useLayoutEffect(() => {
    for (const [index, button] of buttons().entries()) button.tabIndex = index === at ? 0 : -1;
  });
  return (
    <div
      ref={box}
      class="tools"
      role="toolbar"
      aria-label={label}
      onKeyDown={(event) => {
        const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
        if (step === 0) return;
        event.preventDefault();
        const all = buttons();
        const next = (at + step + all.length) % all.length;
        setAt(next);
        all[next]?.focus();
      }}
    >
      {children}
    </div>
  );
}

interface ToolsProps {
  message: SeenMessage;
  inPane: boolean;
  react(name: string, remove: boolean): void;
  edit(): void;
}

function Tools({ message, inPane, react, edit }: ToolsProps) {
  const { state, dispatch, attempt } = usePage();
  const { channel, ts, user } = message;
  const own = user === state.user;
  return (
    <Toolbar label="Message tools">
      {REACTIONS.slice(0, 4).map((name) => (
        <button
          key={name}
          type="button"
          class="icon"
          aria-label={`React with ${name}`}
          title={`:${name}:`}
          onClick={() => react(name, message.reactions[name]?.includes(state.user) ?? false)}
        >
          {emoji(name)}
        </button>
      ))}
      {!inPane && (
        <button
          type="button"
          class="icon"
          aria-label="Reply in thread"
          title="Reply in thread"
          onClick={() => dispatch({ do: 'go', place: { thread: message.thread_ts ?? ts } })}
        >
          💬
        </button>
      )}
      <button
        type="button"
        class="icon"
        aria-label="Copy link"
        title="Copy link"
        onClick={() => void attempt(() => navigator.clipboard.writeText(permalink(message)))}
      >
        🔗
      </button>
      {state.hello?.shortcuts.map((shortcut) => (
        <button
          key={shortcut}
          type="button"
          class="icon"
          aria-label={shortcut}
          title={shortcut}
          onClick={() => void attempt(() => slack('shortcut', { channel, messageTs: ts, user: state.user, shortcut }))}
        >
          ⚡
        </button>
      ))}
      {own && (
        <>
          <button type="button" class="icon" aria-label="Edit message" title="Edit message" onClick={edit}>
            ✏️
          </button>
          <button
            type="button"
            class="icon"
            aria-label="Delete message"
            title="Delete message"
            onClick={() => void attempt(() => slack('delete-message', { channel, messageTs: ts, user }))}
          >
            🗑️
          </button>
        </>
      )}
    </Toolbar>
  );
}

/** A message's text as its author would type it. */
function typedAgain(text: string, name: (id: string) => string): string {
  return text
    .replace(/<@(\w+)>/g, (_all, id: string) => `@${name(id)}`)
    .replace(/<(https?:[^>|]+)(?:\|[^>]*)?>/g, '$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

function Editor({ message, done }: { message: SeenMessage; done(): void }) {
  const { state, attempt } = usePage();
  const [text, setText] = useState(() => typedAgain(message.text, (id) => personOf(state, id)?.name ?? id));
  const save = () => {
    const { channel, ts: messageTs, user } = message;
    void attempt(() => slack('edit-message', { channel, messageTs, user, text })).then((ok) => ok && done());
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <textarea
        aria-label="Edit message"
        rows={2}
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') done();
          if (event.key === 'Enter' && !event.shiftKey) {
            event.preventDefault();
            save();
          }
        }}
      />
      <button type="button" class="button" onClick={done}>
        Cancel
      </button>
      <button type="submit" class="button primary">
        Save
      </button>
    </form>
  );
}

function ReplyCount({ message }: { message: SeenMessage }) {
  const { state, dispatch } = usePage();
  const { channel, ts, reply_count: count } = message;
  if (count === 0) return null;
  const last = messagesOfThread(state.messages[channel] ?? [], ts).at(-1);
  const isUnread = isThreadUnread(state, channel, ts);
  return (
    <button
      type="button"
      class={`replies ${isUnread ? 'unread' : ''}`}
      onClick={() => dispatch({ do: 'go', place: { thread: ts } })}
    >
      <strong>
        {count} {count === 1 ? 'reply' : 'replies'}
      </strong>
      {isUnread && <span class="dot">new</span>}
      {last && <small>last at {timeOf(last.ts)}</small>}
    </button>
  );
}

export interface MessageProps {
  message: SeenMessage;
  /** Soon after a message of the same author: shown without picture and name. */
  goesOn: boolean;
  /** Shown in the thread pane, so without a link to the thread. */
  inPane: boolean;
}

export function Message({ message, goesOn, inPane }: MessageProps) {
  const { state, attempt } = usePage();
  const [editing, setEditing] = useState(false);
  const { channel, ts, name } = message;
  const react = (reaction: string, remove: boolean) => {
    const body = { channel, messageTs: ts, user: state.user, name: reaction, remove };
    void attempt(() => slack('reaction', body));
  };
  const onAct: OnAct = async (element, choice) => {
    const body = { channel, messageTs: ts, user: state.user, action: words(element.action_id), ...choice };
    await attempt(async () => {
      const { acked } = await slack<{ acked: boolean }>('interact', body);
      if (!acked) throw new Error('The app did not accept the click.');
    });
  };
  if (message.deleted) {
    return (
      <article class="message" data-ts={ts}>
        <span class="avatar" aria-hidden="true" />
        <div class="message-body">
          <p class="quiet">This message was deleted.</p>
          {!inPane && <ReplyCount message={message} />}
        </div>
      </article>
    );
  }
  return (
    <article
      class={`message ${goesOn ? 'goes-on' : ''} ${message.ephemeral ? 'ephemeral' : ''}`}
      data-ts={ts}
      aria-label={`${name}, ${timeOf(ts)}`}
    >
      {message.ephemeral === null && !editing && (
        <Tools message={message} inPane={inPane} react={react} edit={() => setEditing(true)} />
      )}
      {goesOn ? <time class="avatar">{timeOf(ts)}</time> : <Avatar id={message.user ?? name} name={name} />}
      <div class="message-body">
        {message.ephemeral !== null && <p class="only-you">Only visible to you</p>}
        {!goesOn && (
          <p class="author">
            <strong>{name}</strong>
            {message.bot_id !== null && <span class="badge">APP</span>}
            <time>{timeOf(ts)}</time>
          </p>
        )}
        {editing ? (
          <Editor message={message} done={() => setEditing(false)} />
        ) : message.blocks.length > 0 ? (
          <Blocks blocks={message.blocks} onAct={onAct} />
        ) : (
          message.text !== '' && <Mrkdwn text={message.text} />
        )}
        {message.edited && <small class="edited">(edited)</small>}
        {message.stream === 'in_progress' && <small class="edited">(streaming…)</small>}
        {message.stream === 'dead' && <small class="edited">Something went wrong</small>}
        <Files files={message.files} />
        <Reactions message={message} react={react} />
        {!inPane && <ReplyCount message={message} />}
      </div>
    </article>
  );
}
