import { parseMarkdown } from './ast.ts';
import { type Cut, chooseCut, cutLongTable, type Place } from './cut.ts';
import { dedent } from './dedent.ts';
import type { MarkdownLimits } from './limits.ts';
import { type Measured, measure, splitsCharacter, windowEnd } from './measure.ts';
import { type SplitState, splitStart, type TextPart } from './part.ts';
import { chooseSeam } from './seam.ts';

/**
 * Closes the part that begins at `state`; `null`: the text is too short to tell where. The result depends only on the
 * text up to `decidedBy`, so it is the same in whatever pieces the text arrives.
 */
export function closePart(
  text: string,
  state: SplitState,
  limits: MarkdownLimits,
  measured: Measured = measure(text, state, limits),
): ClosedPart | null {
  const end = measured.longTableAt ?? windowEnd(text, state, measured);
  if (end >= text.length) return null;
  const isLongTable = measured.longTableAt !== null;
  return cutAt(text, state, limits, { end, decidedBy: end + 1 }, (place) => {
    return (isLongTable ? cutLongTable(place) : null) ?? chooseCut(place);
  });
}

/**
 * Closes the part that begins at `state` although there would be room, because people see the text up to `seam` in its
 * message already: the rest goes into the next one. `null`: nothing of it would be left in this part.
 */
export function closePartAt(text: string, state: SplitState, limits: MarkdownLimits, seam: number): ClosedPart | null {
  const next = text.charAt(seam);
  return cutAt(text, state, limits, { end: seam, decidedBy: seam + 1, isSeam: true }, (place) =>
    chooseSeam(place, next),
  );
}

interface ClosedPart {
  part: TextPart;
  next: SplitState;
  decidedBy: number;
}

function cutAt(
  text: string,
  state: SplitState,
  limits: MarkdownLimits,
  { end, decidedBy, isSeam = false }: { end: number; decidedBy: number; isSeam?: boolean },
  choose: (place: Place) => Cut | null,
): ClosedPart | null {
  const source = text.slice(state.length, end);
  const shown = dedent(source, state.dedent);
  const doc = state.prefix + shown.text;
  // Marks at the end may be half of a longer run, so they go into the next part.
  const whole = isSeam ? doc : doc.replace(/[*_~`]{1,10}$/, '');
  const parsed = parseMarkdown(whole.length > state.prefix.length ? whole : doc);
  const from = state.prefix.length;
  const numbers = { first: state.first, following: state.following, followsAt: from + shown.endsAtText };
  const place = { parsed, from, limits, numbers };
  const cut = choose(place);
  if (cut === null) return null;
  let at = shown.toSource(cut.at - from);
  if (at <= 0) at = source.length;
  if (splitsCharacter(source, at)) at -= 1;
  const { prefix, dedent: columns, first, following } = state;
  const part = { source: source.slice(0, at), prefix, suffix: cut.suffix, dedent: columns, first, following };
  const still = at < shown.endsAt ? columns : 0;
  const isInList = cut.columns !== 0 || still !== 0;
  return {
    part,
    next: {
      length: state.length + at,
      prefix: cut.prefix,
      dedent: isInList ? still + cut.columns : 0,
      first: cut.first ?? null,
      following: cut.following ?? (still === 0 ? null : following),
    },
    decidedBy,
  };
}

/** The part after all closed ones, which may still grow. */
export function openPart(text: string, state: SplitState): TextPart {
  const { length, prefix, dedent, first, following } = state;
  return { source: text.slice(length), prefix, suffix: '', dedent, first, following };
}

/** All parts of a text that will not grow. */
export function splitText(text: string, limits: MarkdownLimits): TextPart[] {
  const parts: TextPart[] = [];
  let state = splitStart;
  for (let closed = closePart(text, state, limits); closed; closed = closePart(text, state, limits)) {
    parts.push(closed.part);
    state = closed.next;
  }
  return [...parts, openPart(text, state)];
}

/** A part as Markdown, not yet neutralised. */
export function markdownOf(part: TextPart): string {
  const { text, endsAtText } = dedent(part.source, part.dedent);
  const rest = part.following === null ? text.slice(endsAtText) : withNumber(text.slice(endsAtText), part.following);
  const shown = text.slice(0, endsAtText) + rest;
  const body = part.prefix + (part.first === null ? shown : withNumber(shown, part.first));
  if (part.suffix === '') return body;
  return /^[*_~`]/.test(part.suffix) && !/^(?:`{3,}|~{3,})/.test(part.suffix)
    ? body.trimEnd() + part.suffix
    : body + part.suffix;
}

/** A list item's line with this number, so that a list that is typed as `1. 1. 1.` goes on counting. */
function withNumber(lines: string, number: number): string {
  return lines.replace(/^([ \t]{0,3})\d{1,9}(?=[.)](?:[ \t]|$))/, `$1${number}`);
}
