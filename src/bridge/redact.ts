/** Stands where a secret stood. */
export const REDACTED = '«redacted»';

export interface Redaction {
  text: string;
  /** Whether something was taken out. */
  redacted: boolean;
}

const NAMES =
  'pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|(?:access|private|secret|signing|encryption)[_-]?key|credentials?|client[_-]?secret';

/** What is no secret after a secret's name: references, types and calls in code. */
const NOT_A_VALUE =
  '(?!["\']?(?:\\$[A-Za-z_{(]|%[A-Za-z_]|\\{\\{|«redacted»|(?:string|number|boolean|null|undefined|true|false|none|any|unknown)\\b|[\\w.]{1,80}\\())';

/** One word, as a shell sees it: no blank, no quote, no operator that begins another command. */
const WORD = '(?:[^\\s"\'`;|&<>()$\\\\]|\\$(?![({])|\\\\(?![nrt"\'\\s]))';

/**
 * Shapes of secrets. Each begins at something rare and goes on in one class of characters, so that reading costs in
 * proportion to the text whatever it holds. A group called `keep` stays.
 */
const SHAPES = [
  // Slack, its webhooks, its one-use socket URLs
  '(?<![A-Za-z0-9])(?:xox[a-z](?:\\.xox[a-z])?|xapp)-[A-Za-z0-9-]{8,}',
  '(?<keep1>hooks\\.slack\\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_-]{8,}',
  // GitHub, GitLab, npm, PyPI, Hugging Face, DigitalOcean, Stripe, SendGrid
  '(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|npm_|pypi-|hf_|dop_v1_|[sr]k_(?:live|test)_|whsec_|gsk_|xai-)[A-Za-z0-9_-]{16,}',
  '(?<![A-Za-z0-9])SG\\.[A-Za-z0-9_-]{16,}(?:\\.[A-Za-z0-9_-]{16,})?',
  // OpenAI, Anthropic, Letta and others: a class name in a style sheet has no digit
  '(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{16,}',
  // AWS, Google
  '(?<![A-Za-z0-9])(?:AKIA|ASIA)(?=[A-Z]{0,15}[0-9])[0-9A-Z]{16}[A-Za-z0-9]*',
  '(?<![A-Za-z0-9])(?:AIza[A-Za-z0-9_-]{30,}|ya29\\.[A-Za-z0-9_-]{20,})',
  // JSON Web Tokens
  '(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]{4,}(?:\\.[A-Za-z0-9_-]*)?',
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
  // --password value
  `(?<keep9>(?<!-)--[a-z-]{0,40}(?:${NAMES})\\s{1,4}["']?)(?!-)${NOT_A_VALUE}${WORD}{3,}`,
];

/** `password=…`, `"api_key": "…"`, `DB_TOKEN: …`. */
const named = (value: string) => `(?<keep0>(?:${NAMES})["']?\\s{0,4}(?::|=>?)\\s{0,4})${NOT_A_VALUE}${value}`;
const ANY_VALUE = `(?:"(?:[^"\\\\\\r\\n]|\\\\.)+"?|'(?:[^'\\\\\\r\\n]|\\\\.)+'?|${WORD}{3,})`;
const ONE_WORD = `(?:["']?${WORD}{3,})`;

const TEXT = new RegExp([...SHAPES, named(ANY_VALUE)].join('|'), 'gi');
const COMMAND = new RegExp([...SHAPES, named(ONE_WORD)].join('|'), 'gi');

/** A name of a setting or field whose value is a secret. */
const SECRET_NAME = new RegExp(`(?:${NAMES}|authorization)$`, 'i');

/**
 * A text without the secrets in it that have a known shape or stand behind a telling name; not a proof that none is
 * left. Doing it twice changes nothing more, and a text grows to three times its length at most.
 */
export function redact(text: string): Redaction {
  return redactWith(TEXT, text);
}

/**
 * As {@link redact}, of a text that somebody must judge before it runs: of what stands behind a name only one word is
 * hidden, never a blank or a shell's operator, so that nothing that would run can hide behind the mark.
 */
export function redactCommand(text: string): Redaction {
  return redactWith(COMMAND, text);
}

/** A text of a tool's input; the whole of it where the name of its field says that it is a secret. */
export function redactField(text: string, name: string): Redaction {
  const isSecret = text !== '' && text !== REDACTED && SECRET_NAME.test(name);
  return isSecret ? { text: REDACTED, redacted: true } : redact(text);
}

/** Taking one secret out can bring two halves of another together: each pass leaves less to find. */
const PASSES = 8;

function redactWith(shapes: RegExp, text: string): Redaction {
  let clean = text;
  for (let pass = 0; pass < PASSES; pass++) {
    const next = withoutPrivateKeys(clean).replace(shapes, replaceSecret);
    if (next === clean) break;
    clean = next;
  }
  return { text: clean, redacted: clean !== text };
}

function replaceSecret(match: string, ...rest: unknown[]): string {
  const groups = rest.at(-1) as Record<string, string | undefined>;
  const keep = Object.values(groups).find((kept) => kept !== undefined) ?? '';
  const quote = groups.keep0 === undefined ? '' : (/^["']/.exec(match.slice(keep.length))?.[0] ?? '');
  const closes = quote !== '' && match.length > keep.length + 1 && match.endsWith(quote);
  return `${keep}${quote}${REDACTED}${closes ? quote : ''}`;
}

const KEY_MARKS = /-----(?<side>BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
/** What a key's lines consist of, also where a JSON text writes their ends as `\n`. */
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
