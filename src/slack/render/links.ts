import { INVISIBLE } from '../../bridge/text/invisible.ts';

/** Characters of a host shown after a label. A longer host is cut at its start, because its end says whose it is. */
const HOST_SHOWN = 60;
/** A longer label is not read: its host is always shown. */
const LABEL_READ = 2_000;
const BREAKS_TOKEN = /[<>|\\\s"`()]|&#?\w+;|[^\x21-\x7e]/;

/** A link's destination, escaped for the parentheses of a Markdown link; `null` if it is not http, https or mailto. */
export function safeUrl(url: string): string | null {
  if (!/^(?:https?|mailto):[^\s]/i.test(url)) return null;
  if (parseUrl(url) === null) return null;
  const quiet = url.replace(/(?<![\p{L}\p{N}_])@(?=here|channel|everyone|group)/giu, '%40');
  if (!BREAKS_TOKEN.test(quiet)) return quiet;
  let out = '';
  for (const char of quiet) {
    const unit = char.charCodeAt(0);
    if (char === '&') out += '&';
    else if (char.length === 1 && unit >= 0xd800 && unit <= 0xdfff) out += '%EF%BF%BD';
    else if (unit > 0x7e) out += encodeURIComponent(char);
    else if (unit <= 0x20 || '<>|\\"`()'.includes(char)) out += `%${unit.toString(16).toUpperCase().padStart(2, '0')}`;
    else out += char;
  }
  return out.replace(/&(?=#?\w+;)/g, '%26');
}

/**
 * The host or mail address of a link, to be shown after its label; `null` if the label cannot mislead: it does not look
 * like an address, or it is the address. A host with letters beyond ASCII is shown as DNS knows it (`xn--…`).
 */
export function hostBehind(label: string, url: string): string | null {
  const target = parseUrl(url);
  if (target === null) return null;
  if (target.protocol === 'mailto:') return mailBehind(label, target);
  if (target.username !== '' || target.password !== '') return printableHost(target.host);
  const isForeignScript = /(?:^|\.)xn--/.test(target.hostname) && !label.toLowerCase().includes(target.hostname);
  const { words, mayDeceive } = readLabel(label);
  if (isForeignScript || mayDeceive || label.length > LABEL_READ) return printableHost(target.host);
  const hosts = findHosts(words);
  const namesTarget = hosts.every((host) => withoutWww(host) === withoutWww(target.host));
  return namesTarget ? null : printableHost(target.host);
}

/** The address of a mail link, and whether it sets more (`?cc=…`), so that a writer sees who will get the mail. */
function mailBehind(label: string, target: URL): string | null {
  const address = tryDecode(target.pathname);
  const named = label.trim().replace(/^mailto:/i, '');
  if (named.toLowerCase() === address.toLowerCase() && target.search === '' && /^[\x21-\x7e]+$/.test(named))
    return null;
  return printableHost(target.search === '' ? address : `${address}?…`);
}

/** Characters that look like the dots, slashes, colons and at signs of an address. */
const LOOKALIKES: readonly [string, string][] = [
  [
    '\u00B7\u0387\u0660\u06D4\u06F0\u0701\u0702\u2022\u2024\u2027\u2219\u22C5\u3002\u30FB\uA4F8\uA60E\uFE52\uFF0E\uFF61\uFF65\u{10A50}\u{1D16D}',
    '.',
  ],
  ['\u02D0\u0589\u05C3\u16EC\u1803\u205A\u2236\uA789\uFE13\uFE30\uFE55\uFF1A', ':'],
  ['\u2044\u2215\u2571\u27CB\u29F8\u2CC6\u3033\uFF0F', '/'],
  ['\uFE6B\uFF20', '@'],
];
/** They are used in ordinary words, too, so they count only inside what may be an address. */
const AS_SIGNS = LOOKALIKES.map(
  ([chars, sign]) => [new RegExp(`(?<=[\\w./:@])[${chars}](?=[\\w./:@]|[^\\x00-\\x7f]\\w)`, 'gu'), sign] as const,
);

/** A label as people see it. `mayDeceive`: it holds invisible characters, or lookalikes in an address. */
function readLabel(label: string): { words: string; mayDeceive: boolean } {
  const seen = label
    .slice(0, LABEL_READ)
    .replace(/(?<=(?:\p{Extended_Pictographic}|[\u{1F3FB}-\u{1F3FF}])\uFE0F?)\u200D(?=\p{Extended_Pictographic})/gu, '')
    .replace(/(?<=\p{Extended_Pictographic})\uFE0F/gu, '');
  const plain = seen.replace(INVISIBLE, (char) => (/\s/.test(char) ? ' ' : ''));
  let words = plain;
  for (const [lookalikes, sign] of AS_SIGNS) words = words.replace(lookalikes, sign);
  const compatible = words.normalize('NFKC');
  const hidesHost = compatible !== words.normalize('NFC') && findHosts(compatible).length > 0;
  return { words: compatible, mayDeceive: plain.length !== seen.length || words !== plain || hidesHost };
}

const ADDRESS = /(?:[a-z][a-z\d+.-]{0,20}:)?\/{2}[^\s/?#]*(?:[/?#][^\s]*)?|[^\s/?#()<>"'`,;!|{}]+(?:[/?#][^\s]*)?/giu;
/** `example.com`, `10.0.0.5`, `host:8080`, `[::1]`, `host/path` of one that has a dot or a port. */
const HOST_SHAPED =
  /^(?:(?:[\p{L}\p{N}\p{M}_-]+\.)+[\p{L}\p{M}-][\p{L}\p{N}\p{M}_-]+\.?(?::\d*)?|\d{1,3}(?:\.\d{1,3}){3}(?::\d*)?|[\p{N}_-]*\p{L}[\p{L}\p{N}_-]*:\d{1,5}|\[[\da-f:.]*\](?::\d*)?|[\da-f]{0,4}(?::[\da-f]{0,4}){2,7}|localhost)$/iu;

/** Every host that a label names, normalised. Paths are ignored. */
function findHosts(words: string): string[] {
  const hosts: string[] = [];
  for (const [found] of words.matchAll(ADDRESS)) {
    const scheme = /^(?:[a-z][a-z\d+.-]*:)?\/\//i.exec(found)?.[0];
    if (scheme !== undefined) {
      hosts.push(hostAtStart(found.slice(scheme.length)));
      continue;
    }
    // A sign that stands right before the scheme, as in `[https://example.com]`, hides no host.
    const behindSign = /^[^/?#]*\/\//.exec(found)?.[0];
    if (behindSign !== undefined) hosts.push(hostAtStart(found.slice(behindSign.length)));
    const name = (/^[^/?#]*/.exec(found)?.[0] ?? '').replace(/^[*_~.-]+|[*_~.:-]+$/g, '');
    // `user@host`: taken as a whole, because the host alone would not tell where the link leads.
    if (/.@./.test(name)) hosts.push(name);
    for (const part of name.split(/[^\p{L}\p{N}\p{M}_.:[\]-]+/u)) {
      const named = HOST_SHAPED.test(part) ? [part] : part.split(':').filter((piece) => HOST_SHAPED.test(piece));
      hosts.push(...named.map(normalizeHost));
    }
  }
  return hosts;
}

/** The host with which the rest of an address begins, without the marks of the sentence around it. */
function hostAtStart(rest: string): string {
  const host = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  return normalizeHost(host.replace(host.includes('[') ? /[^\p{L}\p{N}\]]+$/u : /[^\p{L}\p{N}]+$/u, ''));
}

function normalizeHost(name: string): string {
  return parseUrl(`http://${name}`)?.host ?? name.toLowerCase();
}

/** The host or mail address of a link that {@link safeUrl} let through. */
export function hostOf(url: string): string {
  const target = parseUrl(url);
  return printableHost(target?.protocol === 'mailto:' ? tryDecode(target.pathname) : (target?.host ?? '?'));
}

function printableHost(host: string): string {
  const safe = host.replace(/[^\w.:@+?…[\]-]/g, '?');
  const cut = safe.length <= HOST_SHOWN ? safe : `…${safe.slice(1 - HOST_SHOWN)}`;
  return cut.replace(/(?<!\w)@/g, '?');
}

const withoutWww = (host: string) => host.replace(/^www\./, '').replace(/\.$/, '');

function tryDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parseUrl(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}
