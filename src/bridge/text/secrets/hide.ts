import { apart, keysIn, type Span } from './keys.ts';
import { REDACTED } from './mark.ts';
import { isSecretName, MAKER_NAMES, NO_VALUE, SECRET_NAMES } from './names.ts';
import { openingQuotes } from './quotes.ts';

/**
 * A text that a person must judge before it runs, with its secrets hidden. Only unbroken runs of letters that keys consist
 * of are hidden: every blank, quote, operator, substitution, line end, `..` and `/` stays visible.
 */
export interface HiddenSecrets {
  /** What everybody may see. */
  open: string;
  /**
   * What the person who decides sees: only certain keys are hidden. Text that is merely in the place of a secret is shown,
   * because it could be anything, even code that runs.
   */
  own: string;
}

interface Hidden extends Span {
  /** Whether its own letters prove that it is a key. */
  isSure: boolean;
}

/** A text that still changes after so many readings is shown as it is then: each costs as much as the first. */
const READINGS = 6;

/** @param name the field that the text is the value of */
export function hideSecrets(text: string, name = ''): HiddenSecrets {
  const all = secretsIn(text, name);
  if (all.length === 0) return { open: text, own: text };
  const sure = all.filter((hidden) => hidden.isSure);
  return {
    open: readAgain(without(text, all), () => true),
    own: sure.length === 0 ? text : readAgain(without(text, sure), (hidden) => hidden.isSure),
  };
}

/** Behind a mark another key or name may begin that was a part of the hidden one: it is hidden, too. */
function readAgain(text: string, counts: (hidden: Hidden) => boolean): string {
  let shown = text;
  for (let reading = 1; reading < READINGS; reading += 1) {
    const more = secretsIn(shown, '').filter(counts);
    if (more.length === 0) break;
    shown = without(shown, more);
  }
  return shown;
}

function secretsIn(text: string, name: string): Hidden[] {
  return [...(isSecretName(name) ? wholeValue(text) : []), ...keys(text), ...behindNames(text), ...pemLines(text)];
}

function without(text: string, hidden: Hidden[]): string {
  const out: string[] = [];
  let at = 0;
  for (const { from, to } of apart(hidden)) {
    out.push(text.slice(at, from), REDACTED);
    at = to;
  }
  return out.join('') + text.slice(at);
}

/** Letters of keys, and a dot between two of them: never two dots, never `/`. */
const RUNS = /[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*/g;
const ONE_RUN = /^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*$/;
/** Shorter runs are not hidden: they tell little, and a mark in their place would tell more. */
const PIECE = 3;

function runsIn(text: string, { from, to }: Span, isSure: boolean): Hidden[] {
  const runs: Hidden[] = [];
  for (const { index, 0: run } of text.slice(from, to).matchAll(RUNS)) {
    const end = from + index + run.length;
    // The name of a variable is not a key.
    if (/\$\{?[!#]?$/.test(text.slice(Math.max(0, end - run.length - 3), end - run.length))) continue;
    // A character that a backslash escapes stays with it.
    const begin = end - run.length + (text.charAt(end - run.length - 1) === '\\' ? 1 : 0);
    if (end - begin >= PIECE) runs.push({ from: begin, to: end, isSure });
  }
  return runs;
}

function keys(text: string): Hidden[] {
  return keysIn(text).flatMap((key) => runsIn(text, key, true));
}

const NAMED = `(?:${SECRET_NAMES})["']?\\s{0,4}(?::=|:|=>?)\\s{0,4}`;
/** Texts right before a value that may be a secret. Each is bounded, so that the search is linear. */
const NAMED_LEADS = [
  `(?<named>${NAMED})`,
  `(?<maker>(?:${MAKER_NAMES})[\\w.-]{0,20}["']?\\s{0,4}(?::=|:|=>?)\\s{0,4}["']?)(?=[A-Za-z0-9._+/-]{16})`,
  '(?<header>authorization["\']?\\s{0,4}[:=]\\s{0,4}["\']?(?:(?:basic|bearer|token|digest|apikey)\\s{1,4})?)',
  '(?<bearer>\\bbearer\\s{1,4})(?=[A-Za-z0-9._~+/=-]{16})',
  '(?<cookie>\\bcookie["\']?\\s{0,4}:\\s{0,4}["\']?[A-Za-z0-9_.-]{1,100}=)',
  '(?<user>://[^\\s/:@"\'<>]{0,200}:)',
  '(?<nobody>://)(?=[A-Za-z0-9_-]{20,300}@)',
  '(?<query>[?&](?:sig|signature|x-amz-signature|x-goog-signature|ticket|code|key|auth)=)(?=[A-Za-z0-9%._~+/=-]{8})',
  '(?<login>\\s(?:-u|--user)[ =]["\']?[^\\s:"\'$]{1,100}:)(?!\\d{1,6}(?![^\\s"\']))',
  `(?<option>(?<!-)--[a-z-]{0,40}(?:${SECRET_NAMES})\\s{1,4})(?!-)`,
  '(?<webhook>hooks\\.slack\\.com/(?:services|workflows|triggers)/[A-Z0-9]{1,20}/[A-Z0-9]{1,20}/)(?=[A-Za-z0-9]{8})',
].join('|');
/** The names of the groups, in order. */
const KINDS = Array.from(NAMED_LEADS.matchAll(/\(\?<(\w+)>/g), ([, name = '']) => name);
/** Without the group names, because named groups cost several times as much at each match. */
const LEADS = new RegExp(NAMED_LEADS.replace(/\(\?<\w+>/g, '('), 'gi');

/** Leads that are followed by a key and nothing else. */
const HEADERS: ReadonlySet<string> = new Set(['header', 'bearer', 'query', 'webhook']);

function behindNames(whole: string): Hidden[] {
  const hidden: Hidden[] = [];
  const text = new Reading(whole);
  LEADS.lastIndex = 0;
  for (let lead = LEADS.exec(whole); lead; lead = LEADS.exec(whole)) {
    let group = 1;
    while (group < KINDS.length && lead[group] === undefined) group += 1;
    const kind = KINDS[group - 1] ?? '';
    const at = LEADS.lastIndex;
    // After a maker's name only certain keys are hidden, because such a name says little.
    const isMaker = kind === 'maker';
    const isUser = kind === 'user' || kind === 'nobody';
    const found = isUser
      ? userInfo(whole, at)
      : value(text, at, lead[0], HEADERS.has(kind)).filter(({ isSure }) => isSure || !isMaker);
    if (found.length === 0) continue;
    hidden.push(...found);
    LEADS.lastIndex = Math.max(at, found.at(-1)?.to ?? at);
  }
  return hidden;
}

/** After these characters a shell word continues, so the text before them is only a part of the value. */
const GOES_ON = /[$`\\({[]/;
const WORD = /[^\s"'`;|&<>()$\\,{}[\]«/]{0,301}/y;
const BASE64_WORD = /[A-Za-z0-9+/]{32,300}={0,2}(?![^\s"'`;|&<>),}\]])/y;
const LONGEST = 300;

/** Facts about a text that are computed only when something in it may be a secret. */
class Reading {
  readonly text: string;
  #quotes: ReadonlySet<number> | null = null;
  #expands: boolean | null = null;

  constructor(text: string) {
    this.text = text;
  }

  opensQuote(at: number): boolean {
    this.#quotes ??= openingQuotes(this.text);
    return this.#quotes.has(at);
  }

  /** Whether the text uses a variable with a secret's name: then the value that is set to it may be code that runs. */
  get usesSecretVariable(): boolean {
    this.#expands ??= [...this.text.matchAll(/\$\{?!?(\w{1,100})/g)].some(([, name = '']) => isSecretName(name));
    return this.#expands;
  }
}

/** The secret that begins at `at`, quoted or not; nothing when there is none, or when hiding it could hide code. */
function value(reading: Reading, at: number, lead: string, isHeader: boolean): Hidden[] {
  const { text } = reading;
  const quote = text.charAt(at);
  if (quote === '"' || quote === "'") return quoted(reading, at, isHeader);
  const word = wordAt(text, at);
  const to = at + word.length;
  const next = text.charAt(to);
  const isEscapedEnd = next === '\\' && /["'nrt]/.test(text.charAt(to + 1));
  if (next === '«' || (GOES_ON.test(next) && !isEscapedEnd)) return [];
  if (NO_VALUE.test(word) || word.length < PIECE || word.length > LONGEST || isPlainWord(word, lead)) return [];
  return valueRuns(reading, { from: at, to }, isHeader);
}

function wordAt(text: string, at: number): string {
  WORD.lastIndex = at;
  const word = WORD.exec(text)?.[0] ?? '';
  if (text.charAt(at + word.length) !== '/') return word;
  // A path, or base64 with a `/` in it.
  BASE64_WORD.lastIndex = at;
  return BASE64_WORD.exec(text)?.[0] ?? '';
}

/** Whether it is a word of a sentence (`the secret: none of us knows`), or so short that it may be a command’s name. */
function isPlainWord(word: string, lead: string): boolean {
  return /^[A-Za-z]+$/.test(word) && (word.length < 6 || /:\s+$/.test(lead));
}

/** A quoted value may hold blanks and marks, but nothing that any shell after this one could run. */
function quoted(reading: Reading, at: number, isHeader: boolean): Hidden[] {
  const { text } = reading;
  const inner = text.slice(at + 1, at + LONGEST + 2).split(text.charAt(at), 1)[0] ?? '';
  if (inner.length === 0 || inner.length > LONGEST || NO_VALUE.test(inner)) return [];
  if (!ONE_RUN.test(inner) && (/[\n\r\\$`;|&<>(){}"'«]/.test(inner) || !reading.opensQuote(at))) return [];
  return valueRuns(reading, { from: at + 1, to: at + 1 + inner.length }, isHeader);
}

/** The letters of base64 with a `/` among them. */
const BASE64 = /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+]+(?:\/[A-Za-z0-9+]+)*\/?={0,2}$/;

function valueRuns(reading: Reading, span: Span, isHeader: boolean): Hidden[] {
  const value = reading.text.slice(span.from, span.to);
  if (value.includes('/') && !(value.length >= 32 && BASE64.test(value))) return [];
  if (value.includes('..')) return [];
  const bare = value.replace(/={1,2}$/, '');
  if (!ONE_RUN.test(bare)) return runsIn(reading.text, span, false);
  const isSure = isHeader ? bare.length >= 16 && /\d/.test(bare) : isKey(bare) && !reading.usesSecretVariable;
  return [{ from: span.from, to: span.from + bare.length, isSure }];
}

/** `user:password@host`: what is between the colon and the last `@` of the host. */
function userInfo(text: string, at: number): Hidden[] {
  const part = /[^\s/"'<>`]{0,500}/y;
  part.lastIndex = at;
  const host = part.exec(text)?.[0] ?? '';
  const to = at + host.lastIndexOf('@');
  if (to <= at || /[$`;|&(){}\\«]|\.\./.test(text.slice(at, to))) return [];
  const one = text.slice(at, to);
  return ONE_RUN.test(one) ? [{ from: at, to, isSure: isKey(one) }] : runsIn(text, { from: at, to }, false);
}

/** Nobody calls a program so: long, of letters and digits that change all the time. */
function isKey(run: string): boolean {
  if (run.length < 16 || (run.match(/\d/g)?.length ?? 0) < 2) return false;
  const kinds = run
    .replace(/[^A-Za-z0-9]/g, '')
    .replace(/[a-z]/g, 'a')
    .replace(/[A-Z]/g, 'A')
    .replace(/\d/g, '1');
  return (kinds.match(/(.)(?!\1|$)/g)?.length ?? 0) >= 4;
}

/** Hides the whole value of a field whose name says that it is a secret, if none of it can be code. */
function wholeValue(text: string): Hidden[] {
  if (text === '' || NO_VALUE.test(text) || /[\n\r\\$`;|&<>(){}«]|\.\./.test(text)) return [];
  const bare = text.replace(/={1,2}$/, '');
  if (ONE_RUN.test(bare)) return [{ from: 0, to: bare.length, isSure: isKey(bare) }];
  if (text.includes('/') && !BASE64.test(text)) return [];
  return runsIn(text, { from: 0, to: text.length }, false);
}

const PEM =
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const PEM_PIECE = /[A-Za-z0-9+/=]+|(?:\s|\\[nr])+|./gsy;
const PEM_LINE =
  /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+/]{16,}={0,2}$|^(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/]{8,}={1,2}$/;

/** The lines of base64 next to the marks of a private key; everything else there is shown. */
function pemLines(text: string): Hidden[] {
  if (!text.includes('PRIVATE KEY')) return [];
  const hidden: Hidden[] = [];
  let at = 0;
  for (const mark of text.matchAll(PEM)) {
    if (mark.index < at) continue;
    if (mark[0].startsWith('-----END')) hidden.push(...linesBefore(text, at, mark.index));
    at = mark.index + mark[0].length;
    if (!mark[0].startsWith('-----BEGIN')) continue;
    const lines = new RegExp(PEM_PIECE);
    lines.lastIndex = at;
    for (let piece = lines.exec(text); piece; piece = lines.exec(text)) {
      if (text.startsWith('-----', piece.index)) break;
      const isLine =
        /[\s"'nr-]/.test(text.charAt(piece.index - 1)) && /^$|[\s"'\\-]/.test(text.charAt(lines.lastIndex));
      at = lines.lastIndex;
      if (isLine && PEM_LINE.test(piece[0])) hidden.push(...runsIn(text, { from: piece.index, to: at }, false));
    }
  }
  return hidden;
}

/** The lines of base64 right before the end of a key whose beginning was cut off. */
function linesBefore(text: string, from: number, to: number): Hidden[] {
  const hidden: Hidden[] = [];
  const lines = text.slice(from, to).split(/(?<=\n|\\n)/);
  let end = to;
  for (const line of lines.toReversed()) {
    const bare = withoutEnd(line);
    if (bare !== '' && !PEM_LINE.test(bare)) break;
    hidden.push(...runsIn(text, { from: end - line.length, to: end - line.length + bare.length }, false));
    end -= line.length;
  }
  return hidden;
}

/** Without the blanks and written line ends (`\\n`) behind it. Looks from the end, because a pattern would look from each blank. */
function withoutEnd(line: string): string {
  let end = line.length;
  for (;;) {
    if (/\s/.test(line.charAt(end - 1))) end -= 1;
    else if (/^\\[nr]$/.test(line.slice(Math.max(0, end - 2), end))) end -= 2;
    else return line.slice(0, end);
  }
}
