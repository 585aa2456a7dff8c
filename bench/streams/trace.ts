/** A moment at which the reader of a turn could see its text up to that word. ms on the process's own clock. */
export interface Shown {
  at: number;
  words: number;
}

/** One turn as an onlooker sees it, who knows when each word was written and when Slack had it. */
export interface Trace {
  channel: string;
  /** When the person's message was handed to the app. */
  asked: number;
  /** How many words the answer has. */
  length: number;
  /** When each word was written, in order. */
  words: number[];
  /** Calls that showed text, in order. */
  shown: Shown[];
  /** When anything of the turn was seen first: a status, a message. */
  firstSign: number | null;
  calls: number;
  bytes: number;
}

/** Since when there is no unseen word; null while there is one. */
export function wholeAt(trace: Trace): number | null {
  return trace.shown.find(({ words }) => words >= trace.length)?.at ?? null;
}

/** Characters of a text that make it worth reading, as in a notification. */
const READABLE = 40;

/** How many of the scripted agent's words (`word1 word2 …`) make a text readable; all of a shorter one. */
export function readableWords(length: number): number {
  let characters = -1;
  for (let word = 1; word < length; word += 1) {
    characters += ` word${word}`.length;
    if (characters >= READABLE) return word;
  }
  return length;
}

/** When enough was written to be read; `end`: never. */
export function readableAt({ words, length }: Trace, end: number): number {
  return words[readableWords(length) - 1] ?? end;
}

/** ms from the first word until people could see enough to read; until `end`, where they never could. */
export function firstReadableDelay(trace: Trace, end: number): number {
  const shown = trace.shown.find(({ words }) => words >= readableWords(trace.length));
  return (shown?.at ?? end) - (trace.words[0] ?? 0);
}

export function writtenUntil(trace: Trace): number {
  return trace.words.at(-1) ?? trace.asked;
}

/** ms from the last word until all of the text could be seen; until `end`, when one ceased to look, where it never was. */
export function finalDelay(trace: Trace, end: number): number {
  return Math.max(0, (wholeAt(trace) ?? end) - writtenUntil(trace));
}

/** For each word: ms from when it was written until it could be seen, or until `end`. */
export function wordDelays(trace: Trace, end: number): number[] {
  const delays: number[] = [];
  let at = 0;
  for (const [index, written] of trace.words.entries()) {
    while (at < trace.shown.length && (trace.shown[at]?.words ?? 0) <= index) at += 1;
    delays.push((trace.shown[at]?.at ?? end) - written);
  }
  return delays;
}

/**
 * The age of the oldest unseen word, looked at every `step` ms while the turn writes and `from` ≤ time < `to`;
 * 0 while nothing is unseen.
 */
export function staleness(trace: Trace, step: number, from: number, to: number): number[] {
  const first = trace.words[0];
  if (first === undefined) return [];
  const ages: number[] = [];
  const end = Math.min(to, writtenUntil(trace));
  let seen = 0;
  let next = 0;
  for (let at = Math.max(from, first); at < end; at += step) {
    for (let shown = trace.shown[next]; shown && shown.at <= at; shown = trace.shown[next]) {
      seen = Math.max(seen, shown.words);
      next += 1;
    }
    const unseen = trace.words[seen];
    ages.push(unseen === undefined || unseen > at ? 0 : at - unseen);
  }
  return ages;
}

/** ms within [from, to) in which the turn wrote. */
export function writingTime(trace: Trace, from: number, to: number): number {
  const first = trace.words[0] ?? to;
  return Math.max(0, Math.min(to, writtenUntil(trace)) - Math.max(from, first));
}
