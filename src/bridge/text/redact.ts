import { hideSecrets } from './secrets/hide.ts';
import { keysIn } from './secrets/keys.ts';
import { REDACTED } from './secrets/mark.ts';
import { MAKER_NAMES, SECRET_NAMES } from './secrets/names.ts';

export { REDACTED };

export interface Redaction {
  text: string;
  /** Whether a secret was hidden. */
  isRedacted: boolean;
}

/** After a secret's name, no secret: references, types and calls in code. */
const NOT_A_VALUE =
  '(?!["\']?(?:\\$[A-Za-z_{(]|%[A-Za-z_]|\\{\\{|«redacted»|(?:string|number|boolean|null|undefined|true|false|none|any|unknown)\\b|[\\w.]{1,80}\\())';

/** One shell word: without blanks, quotes and operators that begin another command. */
const WORD = '(?:[^\\s"\'`;|&<>()$\\\\]|\\$(?![({])|\\\\(?![nrt"\'\\s]))';

/**
 * Shapes of secrets. Each begins with something rare and continues in one class of characters, so that the search is
 * linear in the text, whatever it holds. A group called `keep…` is not hidden.
 */
const SHAPES = [
  '(?<keep1>hooks\\.slack\\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_-]{8,}',
  // `Authorization: Bearer …`, with or without the header's name
  `(?<keep2>authorization["']?\\s{0,4}[:=]\\s{0,4}["']?(?:(?:basic|bearer|token|digest|apikey)\\s{1,4})?)(?!«redacted»|\\$|(?:basic|bearer|token|digest|apikey)\\s)${WORD}{4,}`,
  '(?<keep3>\\bbearer\\s{1,4})[A-Za-z0-9._~+/=-]{16,}',
  '(?<keep4>\\bcookie["\']?\\s{0,4}:\\s{0,4}["\']?[A-Za-z0-9_.-]{1,100}=)(?!«redacted»)[^\\s"\']{4,}',
  // https://user:password@host, https://token@host
  '(?<keep5>://[^\\s/:@"\'<>]*:)(?!«redacted»@|\\$)[^\\s/"\'<>`]+(?=@)',
  '(?<keep6>://)[A-Za-z0-9_-]{20,}(?=@)',
  '(?<keep7>[?&](?:sig|signature|x-amz-signature|x-goog-signature|ticket|code|key|auth)=)(?!«redacted»|\\$)[A-Za-z0-9%._~+/=-]{8,}',
  // curl -u user:password
  '(?<keep8>\\s(?:-u|--user)[ =]["\']?[^\\s:"\'$]{1,100}:)(?![0-9]{1,6}(?![^\\s"\'])|«redacted»|\\$)[^\\s"\'`;|&()$]+',
  // DATADOG_API=0123…, encryption-key: 0123…
  `(?<keep10>(?:${MAKER_NAMES})[\\w.-]{0,20}["']?\\s{0,4}(?::=|:|=>?)\\s{0,4}["']?)(?=[A-Za-z_-]{0,40}\\d[A-Za-z_-]{0,40}\\d)[A-Za-z0-9_+/-]{16,}={0,2}`,
  // --password value
  `(?<keep9>(?<!-)--[a-z-]{0,40}(?:${SECRET_NAMES})\\s{1,4}["']?)(?!-)${NOT_A_VALUE}${WORD}{3,}`,
];

/** `password=…`, `"api_key": "…"`, `DB_TOKEN: …`. */
const named = (value: string) => `(?<keep0>(?:${SECRET_NAMES})["']?\\s{0,4}(?::|=>?)\\s{0,4})${NOT_A_VALUE}${value}`;
const ANY_VALUE = `(?:"(?:[^"\\\\\\r\\n]|\\\\.)+"?|'(?:[^'\\\\\\r\\n]|\\\\.)+'?|${WORD}{3,})`;

const TEXT = new RegExp([...SHAPES, named(ANY_VALUE)].join('|'), 'gi');

/**
 * Hides secrets that have a known shape or follow a telling name; others may remain. A second call changes nothing more,
 * and a text grows to three times its length at most.
 */
export function redact(text: string): Redaction {
  let clean = text;
  for (let pass = 0; pass < PASSES; pass++) {
    const next = withoutKeys(withoutPrivateKeys(clean)).replace(TEXT, replaceSecret);
    if (next === clean) break;
    clean = next;
  }
  return { text: clean, isRedacted: clean !== text };
}

/** As {@link redact}, for a text that a person must judge before it runs: see {@link hideSecrets}. */
export function redactCommand(text: string): Redaction {
  return redactField(text, '');
}

/** As {@link redactCommand}, for the value of a field, whose name may say that it is a secret. */
export function redactField(text: string, name: string): Redaction {
  const { open } = hideSecrets(text, name);
  return { text: open, isRedacted: open !== text };
}

/** Several passes, because hiding one secret can bring the halves of another together. */
const PASSES = 8;

function withoutKeys(text: string): string {
  const out: string[] = [];
  let at = 0;
  for (const { from, to } of keysIn(text)) {
    out.push(text.slice(at, from), REDACTED);
    at = to;
  }
  return at === 0 ? text : out.join('') + text.slice(at);
}

function replaceSecret(match: string, ...rest: unknown[]): string {
  const groups = rest.at(-1) as Record<string, string | undefined>;
  const keep = Object.values(groups).find((kept) => kept !== undefined) ?? '';
  const quote = groups.keep0 === undefined ? '' : (/^["']/.exec(match.slice(keep.length))?.[0] ?? '');
  const closes = quote !== '' && match.length > keep.length + 1 && match.endsWith(quote);
  return `${keep}${quote}${REDACTED}${closes ? quote : ''}`;
}

const KEY_MARKS = /-----(?<side>BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
/** The characters of a key's lines, also when a JSON text writes line ends as `\n`. */
const KEY_LINES = /[A-Za-z0-9+/=\s\\:,.-]*/y;
const KEY_LINES_BEFORE = /[A-Za-z0-9+/=\s\\]/;

/** Private keys in PEM, whole or with one of their ends cut off. */
function withoutPrivateKeys(text: string): string {
  if (!text.includes('PRIVATE KEY')) return text;
  const out: string[] = [];
  let at = 0;
  let begun = -1;
  for (const mark of text.matchAll(KEY_MARKS)) {
    if (mark.groups?.side === 'BEGIN') {
      if (begun < 0) begun = mark.index;
      continue;
    }
    let from = begun < 0 ? mark.index : begun;
    if (begun < 0) while (from > at && KEY_LINES_BEFORE.test(text[from - 1] ?? '')) from--;
    out.push(text.slice(at, from), REDACTED);
    at = mark.index + mark[0].length;
    begun = -1;
  }
  if (begun < 0) return out.join('') + text.slice(at);
  KEY_LINES.lastIndex = begun;
  KEY_LINES.exec(text);
  return `${out.join('')}${text.slice(at, begun)}${REDACTED}${text.slice(KEY_LINES.lastIndex)}`;
}
