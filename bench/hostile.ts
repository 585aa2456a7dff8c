import { makeToken, makeTurnId } from '../src/bridge/ids.ts';
import type { TurnView } from '../src/bridge/view/turn.ts';
import { createRenderer, renderPosts } from '../src/slack/render/posts.ts';
import { type Row, row } from './row.ts';

/** Texts that, repeated, cost most Markdown parsers the square or the cube of their length. */
const MOTIFS = [
  '> - ',
  '1. ',
  '- - > ',
  '- a\n',
  '*a_',
  '*a**',
  '[a](b',
  '[',
  '![',
  '<',
  'www.a_',
  '`a',
  '|a|\n',
  'a|b\n-|-\n',
  '\\[',
  '$a',
  ' ',
  '&#',
];
const SIZES = [8_000, 40_000] as const;
/** Lengths of texts that fill several messages. */
const GROWTH = [20_000, 80_000] as const;
const RUNS = 5;

/**
 * The longest time for which a hostile text blocks the event loop, at an edit and at the end, and how that grows with
 * its length.
 */
export function hostileRows(): Row[] {
  for (const motif of MOTIFS) editOf(repeated(motif, GROWTH[0]));
  const worst = SIZES.map(() => ({ end: 0, edit: 0 }));
  let exponent = 0;
  for (const motif of MOTIFS) {
    SIZES.forEach((size, index) => {
      const text = repeated(motif, size);
      const most = worst[index];
      if (most) worst[index] = { end: Math.max(most.end, endOf(text)), edit: Math.max(most.edit, editOf(text)) };
    });
    const [small, big] = [wholeOf(repeated(motif, GROWTH[0])), wholeOf(repeated(motif, GROWTH[1]))];
    // Shorter times are too noisy to compare.
    if (big > 4) exponent = Math.max(exponent, Math.log(big / Math.max(small, 1)) / Math.log(GROWTH[1] / GROWTH[0]));
  }
  return [
    row('hostile_edit_8kb', worst[0]?.edit ?? 0, 'ms', 50),
    row('hostile_edit_40kb', worst[1]?.edit ?? 0, 'ms', 50),
    row('hostile_end_8kb', worst[0]?.end ?? 0, 'ms', 50),
    row('hostile_end_40kb', worst[1]?.end ?? 0, 'ms', 50),
    row('hostile_growth_exponent', exponent, 'x', 1.2),
  ];
}

const repeated = (motif: string, size: number) => motif.repeat(Math.ceil(size / motif.length)).slice(0, size);

/** The longest piece of rendering the end; between two pieces the event loop runs. */
const endOf = (text: string) =>
  medianOf(() => {
    const render = createRenderer();
    const view = viewOf(text, true);
    let longest = 0;
    for (let done = false; !done; ) {
      const piece = timeOnce(() => {
        done = render.prepare(view, false, { left: 4_000 });
      });
      longest = Math.max(longest, piece);
    }
    return Math.max(
      longest,
      timeOnce(() => render(view, false)),
    );
  });

/** All pieces together. */
const wholeOf = (text: string) => medianOf(() => timeOnce(() => renderPosts(viewOf(text, true))));

/** One more edit of a text that is already shown. */
function editOf(text: string): number {
  return medianOf(() => {
    const render = createRenderer();
    render(viewOf(text.slice(0, -20), false));
    return timeOnce(() => render(viewOf(text, false)));
  });
}

function medianOf(measure: () => number): number {
  const times = Array.from({ length: RUNS }, measure).toSorted((a, b) => a - b);
  return times[Math.floor(RUNS / 2)] ?? 0;
}

function timeOnce(work: () => unknown): number {
  const before = performance.now();
  work();
  return performance.now() - before;
}

function viewOf(markdown: string, isOver: boolean): TurnView {
  return {
    turn: makeTurnId('bench'),
    address: { team: 'T1', channel: 'C1', threadTs: '1.000001' },
    notPassedOn: [],
    items: [{ kind: 'text', markdown }],
    live: isOver ? null : { activity: { kind: 'writing' }, stop: makeToken('bench'), queued: 0 },
    ending: isOver ? { outcome: 'done', by: null, line: null, tools: 0, durationMs: 1 } : null,
  };
}
