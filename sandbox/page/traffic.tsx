import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { TrafficLine } from '../web/wire.ts';
import { usePage } from './context.ts';

const KINDS = [
  { kind: 'call', name: 'API calls' },
  { kind: 'envelope', name: 'Envelopes' },
  { kind: 'frame', name: 'Letta frames' },
] as const;
const SHOWN = 250;

interface Row {
  line: TrafficLine;
  /** The number of successive frames of its kind that it represents. */
  times: number;
}

/** Merges successive frames of one kind into one row, because a streamed answer has hundreds. */
function rowsOf(lines: readonly TrafficLine[]): Row[] {
  const rows: Row[] = [];
  for (const line of lines) {
    const last = rows.at(-1);
    const same = last && line.kind === 'frame' && last.line.kind === 'frame' && last.line.title === line.title;
    if (last && same && last.line.dir === line.dir && last.line.result === line.result) {
      rows[rows.length - 1] = { line: { ...line, id: last.line.id }, times: last.times + 1 };
    } else rows.push({ line, times: 1 });
  }
  return rows;
}

function TrafficRow({ row: { line, times } }: { row: Row }) {
  const [open, setOpen] = useState(false);
  const arrow = line.kind === 'frame' ? (line.dir === 'out' ? '⇢' : '⇠') : line.dir === 'out' ? '→' : '←';
  const time = new Date(line.at).toLocaleTimeString('en-GB');
  return (
    <li class={`tone-${line.tone} kind-${line.kind}`}>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
        <time>{time}</time>
        <span class="arrow" title={line.dir === 'out' ? 'from the bridge' : 'to the bridge'}>
          {arrow}
        </span>
        <span class="what">
          <strong>{line.title}</strong>
          {times > 1 && <span class="times"> ×{times}</span>} <span class="about">{line.about}</span>
        </span>
        <span class="result">{line.result}</span>
      </button>
      {open && <pre>{line.detail || '(nothing more)'}</pre>}
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
      <h3>
        Traffic <small>→ Slack ⇢ Letta</small>
      </h3>
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
