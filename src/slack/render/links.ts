/** How much of a host is shown behind a label: the end, which says whose it is. */
const HOST_SHOWN = 60;
const HOST_IN_LABEL = /[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.[\p{L}-][\p{L}\p{N}-]+/gu;
const BREAKS_TOKEN = /[<>|\\\s"`()]|&#?\w+;|[^\x21-\x7e]/;

/**
 * A link's destination, fit to stand between the parentheses of a Markdown link, or `null` when it is neither http nor
 * https nor mailto.
 */
export function safeUrl(url: string): string | null {
  if (!/^(?:https?|mailto):[^\s]/i.test(url)) return null;
  if (parsedUrl(url) === null) return null;
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

/** The host (or mail address) behind a link whose label names another one, or that hides behind a user name. */
export function hostBehind(label: string, url: string): string | null {
  const target = parsedUrl(url);
  if (target === null) return null;
  if (target.protocol === 'mailto:') {
    const address = decoded(target.pathname);
    const named = label.replace(/^mailto:/i, '').trim();
    return named.includes('@') && named.toLowerCase() !== address.toLowerCase() ? shown(address) : null;
  }
  if (target.username !== '' || target.password !== '') return shown(target.host);
  const host = withoutWww(target.hostname);
  const visible = label.replace(/[\u00AD\u200B-\u200F\u202A-\u202E\u2060-\u206F\uFEFF]/g, '');
  const names = visible.match(HOST_IN_LABEL) ?? [];
  // A path or a query may hold names of files; what counts is the first.
  const first = names[0];
  if (first === undefined) return null;
  return withoutWww(asciiHost(first)) === host ? null : shown(target.host);
}

function shown(host: string): string {
  const safe = host.replace(/[^\w.:@+[\]-]/g, '?');
  const cut = safe.length <= HOST_SHOWN ? safe : `…${safe.slice(1 - HOST_SHOWN)}`;
  return cut.replace(/(?<!\w)@/g, '?');
}

function asciiHost(name: string): string {
  return parsedUrl(`http://${name}`)?.hostname ?? name.toLowerCase();
}

const withoutWww = (host: string) => host.replace(/^www\./, '');

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parsedUrl(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}
