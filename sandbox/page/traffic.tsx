import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { TrafficLine } from '../web/wire.ts';
import { usePage } from './context.ts';

const KINDS = [
  { kind: 'call', name: 'API calls' },
  { kind: 'envelope', name: 'Envelopes' },
  { kind: 'frame', name: 'Letta frames' },
] as const;
const SHOWN = 250;

/** Frames in which Letta repeats how things are: one after another they say little, and each has its own name. */
const STATE_FRAMES = /^(?:update_\w+|sync_response)$/;

interface Row {
  title: string;
  /** The newest one; its number is that of the first. */
  line: TrafficLine;
  /** The successive frames that it represents, each by its name and what it said. */
  all: TrafficLine[];
}

const rowTitle = (line: TrafficLine) => (line.kind === 'frame' && STATE_FRAMES.test(line.title) ? 'state' : line.title);

/** Merges successive frames of one kind into one row, because a streamed answer has hundreds. */
function rowsOf(lines: readonly TrafficLine[]): Row[] {
  const rows: Row[] = [];
  for (const line of lines) {
    const last = rows.at(-1);
    const title = rowTitle(line);
    const same = last && line.kind === 'frame' && last.line.kind === 'frame' && last.title === title;
    if (last && same && last.line.dir === line.dir && last.line.result === line.result) {
      rows[rows.length - 1] = { title, line: { ...line, id: last.line.id }, all: [...last.all, line] };
    } else rows.push({ title, line, all: [line] });
  }
  return rows;
}

/** What an open row shows: the frames by name, where they have several, then the newest one. */
function detailOf({ line, all }: Row): string {
  const names = [...new Set(all.map(({ title }) => title))];
  const counts = names.map((name) => `${name} ×${all.filter(({ title }) => title === name).length}`);
  const heading = names.length > 1 ? `${counts.join('\n')}\n\nThe newest, ${line.title}:\n` : '';
  return `${heading}${line.detail || '(nothing more)'}`;
}

function TrafficRow({ row }: { row: Row }) {
  const [open, setOpen] = useState(false);
  const { line, title, all } = row;
  const arrow = line.kind === 'frame' ? (line.dir === 'out' ? '⇢' : '⇠') : line.dir === 'out' ? '→' : '←';
  const time = new Date(line.at).toLocaleTimeString('en-GB');
  return (
    <li class={`tone-${line.tone} kind-${line.kind}`}>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
        <time>{time}</time>
        <span class="arrow">
          <span aria-hidden="true">{arrow}</span>
          <span class="unseen">{line.dir === 'out' ? 'from the bridge' : 'to the bridge'}</span>
        </span>
        <span class="what">
          <strong>{title}</strong>
          {all.length > 1 && <span class="times"> ×{all.length}</span>}{' '}
          {title !== 'state' && <span class="about">{line.about}</span>}
        </span>
        <span class="result">{line.result}</span>
      </button>
      {open && <pre>{detailOf(row)}</pre>}
    </li>
  );
}

export function Traffic() {
  const { state } = usePage();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const box = useRef<HTMLOListElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const rows = rowsOf(state.traffic.filter(({ kind }) => !hidden.has(kind))).slice(-SHOWN);
  return (
    <section class="traffic" aria-label="Traffic">
      <p class="note">→ to Slack, ← from it; ⇢ to Letta, ⇠ from it. Click a line to see all of it.</p>
      <div class="filters">
        {KINDS.map(({ kind, name }) => (
          <label key={kind}>
            <input
              type="checkbox"
              checked={!hidden.has(kind)}
              onChange={() => {
                const next = new Set(hidden);
                if (!next.delete(kind)) next.add(kind);
                setHidden(next);
              }}
            />
            {name}
          </label>
        ))}
      </div>
      <ol
        ref={box}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        tabIndex={0}
        aria-label="Calls, envelopes and frames"
        onScroll={({ currentTarget }) => {
          atEnd.current = currentTarget.scrollHeight - currentTarget.scrollTop - currentTarget.clientHeight < 60;
        }}
      >
        {rows.map((row) => (
          <TrafficRow key={row.line.id} row={row} />
        ))}
      </ol>
    </section>
  );
}
