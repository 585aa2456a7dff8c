import { useEffect, useRef, useState } from 'preact/hooks';
import { slack } from './api.ts';
import { usePage } from './context.ts';

const FILE_MAX = 5_000_000;
const SUGGESTIONS = 6;

interface Suggestion {
  /** The text to insert. */
  insert: string;
  about: string;
}

/** What the last word of `text` could become: `@name`, or a command at the beginning. */
function suggestionsFor(text: string, people: readonly Suggestion[], commands: readonly Suggestion[]): Suggestion[] {
  const word = /(?:^|\s)([@/][\w-]*)$/.exec(text)?.[1]?.toLowerCase();
  if (word === undefined) return [];
  const pool = word.startsWith('@') ? people : text.startsWith('/') ? commands : [];
  return pool.filter(({ insert }) => insert.toLowerCase().startsWith(word) && insert !== word).slice(0, SUGGESTIONS);
}

async function readUpload(file: File): Promise<{ name: string; base64: string; mimetype: string }> {
  if (file.size > FILE_MAX) throw new Error(`${file.name} is larger than ${FILE_MAX / 1_000_000} MB`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8_192) binary += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return { name: file.name, base64: btoa(binary), mimetype: file.type || 'application/octet-stream' };
}

const isTyping = (element: Element | null) => element instanceof HTMLTextAreaElement && element.value !== '';

const BROADCASTS: readonly Suggestion[] = [
  { insert: '@here', about: 'everyone who is active' },
  { insert: '@channel', about: 'everyone in the channel' },
];

/** Where a person writes: at top level of a channel, or in a thread. */
export function Composer({ channel, thread, to }: { channel: string; thread: string | null; to: string }) {
  const { state, attempt } = usePage();
  const [text, setText] = useState('');
  const [files, setFiles] = useState<File[]>([]);
  const [at, setAt] = useState(0);
  const field = useRef<HTMLTextAreaElement>(null);
  const upload = useRef<HTMLInputElement>(null);
  const { user, hello } = state;
  const people = (hello?.people ?? []).map(({ name, real_name }) => ({ insert: `@${name}`, about: real_name }));
  const commands = (hello?.commands ?? []).map((command) => ({ insert: command, about: 'the bridge’s commands' }));
  const suggestions = suggestionsFor(text, [...people, ...BROADCASTS], commands);

  // A suggested text goes to the innermost composer; ignore one from before this composer was shown.
  const { draft, place } = state;
  const taken = useRef(draft.number);
  useEffect(() => {
    if (taken.current === draft.number || place.thread !== thread) return;
    taken.current = draft.number;
    const named = thread === null && !channel.startsWith('D') ? `@agent ${draft.text}` : draft.text;
    setText(named);
    field.current?.focus();
  }, [draft, place.thread, thread, channel]);

  // Like Slack: the cursor goes where one writes next, unless the person is busy with something else.
  useEffect(() => {
    const focused = document.activeElement;
    const isBusy = /^(?:SELECT|INPUT)$/.test(focused?.tagName ?? '') || isTyping(focused);
    if (!isBusy && (thread !== null || focused === document.body)) field.current?.focus();
  }, [thread]);

  const take = ({ insert }: Suggestion) => {
    setText(text.replace(/[@/][\w-]*$/, `${insert} `));
    setAt(0);
    field.current?.focus();
  };
  const send = async () => {
    const typed = text.trim();
    if (typed === '' && files.length === 0) return;
    const place = { channel, user, ...(thread !== null && { thread_ts: thread }) };
    const [word = '', ...rest] = typed.split(' ');
    const isCommand = /^\/[a-z]/.test(word);
    const ok = await attempt(async () => {
      if (isCommand) {
        const { acked } = await slack<{ acked: boolean }>('command', { ...place, command: word, text: rest.join(' ') });
        if (!acked) throw new Error(`${word} failed because the app did not respond.`);
        return;
      }
      const uploads = await Promise.all(files.map(readUpload));
      await slack('message', { ...place, text: typed, ...(uploads.length > 0 && { files: uploads }) });
    });
    if (!ok) return;
    setText('');
    setFiles([]);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const chosen = suggestions[at];
    if (chosen && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      const step = event.key === 'ArrowDown' ? 1 : -1;
      setAt((at + step + suggestions.length) % suggestions.length);
    } else if (chosen && (event.key === 'Tab' || event.key === 'Enter') && !event.shiftKey) {
      event.preventDefault();
      take(chosen);
    } else if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      void send();
    } else if (event.key === 'Escape' && suggestions.length > 0) {
      event.stopPropagation();
      setText(`${text} `);
    }
  };

  const listId = `suggestions-${thread ?? channel}`;
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {suggestions.length > 0 && (
        <div class="suggestions" role="listbox" id={listId} aria-label="Suggestions">
          {suggestions.map((suggestion, index) => (
            <button
              key={suggestion.insert}
              type="button"
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              onClick={() => take(suggestion)}
            >
              <strong>{suggestion.insert}</strong> <small>{suggestion.about}</small>
            </button>
          ))}
        </div>
      )}
      <textarea
        ref={field}
        rows={1}
        value={text}
        aria-label={`Message ${to}`}
        aria-controls={suggestions.length > 0 ? listId : undefined}
        placeholder={`Message ${to}`}
        onInput={({ currentTarget }) => {
          setText(currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div class="composer-bar">
        <button
          type="button"
          class="icon"
          aria-label="Attach files"
          title="Attach files"
          onClick={() => upload.current?.click()}
        >
          📎
        </button>
        <button
          type="button"
          class="icon"
          aria-label="Mention the agent"
          title="Mention the agent"
          onClick={() => {
            const bot = hello?.people.find(({ id }) => id === hello.bot)?.name ?? 'agent';
            setText(`${text}${text === '' || text.endsWith(' ') ? '' : ' '}@${bot} `);
            field.current?.focus();
          }}
        >
          @
        </button>
        <input
          ref={upload}
          type="file"
          multiple
          hidden
          onChange={({ currentTarget }) => {
            setFiles([...(currentTarget.files ?? [])]);
            currentTarget.value = '';
          }}
        />
        {files.map((file) => (
          <button
            key={file.name}
            type="button"
            class="chip"
            aria-label={`Remove ${file.name}`}
            onClick={() => setFiles(files.filter((other) => other !== file))}
          >
            {file.name} ✕
          </button>
        ))}
        <button
          type="submit"
          class="button primary send"
          aria-label="Send"
          disabled={text.trim() === '' && files.length === 0}
        >
          ➤
        </button>
      </div>
    </form>
  );
}
