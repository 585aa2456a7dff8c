import type { ServerResponse } from 'node:http';
import type { InstallWords } from '../words/install.ts';

export interface InstallPage extends InstallWords {
  /** Where {@link InstallWords.link} leads. */
  href?: string;
  /** A short fact from outside, such as an id or Slack's own word. */
  detail?: string;
  /** Further facts, as a list below a line. */
  list?: { head: string; items: readonly string[] };
}

/** The page has no script and nothing from elsewhere; it is shown in no frame, and its address is told to nobody. */
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

const STYLE = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}
a.go{display:inline-block;color:inherit;padding:.6rem 1.2rem;border:1px solid;border-radius:.4rem;text-decoration:none;font-weight:600}
li,code{font-family:ui-monospace,monospace;font-size:.9rem;overflow-wrap:anywhere}`;

/** Answers with a page for people; adds to the headers that are set already. */
export function sendPage(response: ServerResponse, status: number, page: InstallPage): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  response.writeHead(status).end(htmlOf(page));
}

function htmlOf({ title, says, link, href, detail, list }: InstallPage): string {
  const parts = [
    `<h1>${escapeHtml(title)}</h1>`,
    ...says.map((line) => `<p>${escapeHtml(line)}</p>`),
    ...(detail === undefined ? [] : [`<p><code>${escapeHtml(detail)}</code></p>`]),
    ...(link !== undefined && href !== undefined
      ? [`<p><a class="go" href="${escapeHtml(href)}">${escapeHtml(link)}</a></p>`]
      : []),
    ...(list
      ? [`<p>${escapeHtml(list.head)}</p><ul>${list.items.map((item) => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`]
      : []),
  ];
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title>`;
  return `<!DOCTYPE html><html lang="en"><head>${head}<style>${STYLE}</style></head><body><main>${parts.join('')}</main></body></html>`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
