/** The address of a link that may be followed; `null` for what a browser should not open. */
export function safeHref(url: string): string | null {
  try {
    const { protocol, href } = new URL(url);
    return ['http:', 'https:', 'mailto:'].includes(protocol) ? href : null;
  } catch {
    return null;
  }
}

const PERMALINK =
  /^https:\/\/sandbox\.slack\.com\/archives\/([A-Z0-9]+)\/p(\d{10})(\d{6})(?:\?(?:.*&)?thread_ts=(\d+\.\d+))?/;

/** The message to which a link of this workspace leads; the page opens such a link itself. */
export function placeBehind(url: string): { channel: string; thread: string } | null {
  const [, channel, seconds, micros, thread] = PERMALINK.exec(url) ?? [];
  return channel === undefined ? null : { channel, thread: thread ?? `${seconds}.${micros}` };
}

/** The text that Slack's "Copy link" would copy. */
export function permalink({
  channel,
  ts,
  thread_ts,
}: {
  channel: string;
  ts: string;
  thread_ts: string | null;
}): string {
  const url = `https://sandbox.slack.com/archives/${channel}/p${ts.replace('.', '')}`;
  return thread_ts === null ? url : `${url}?thread_ts=${thread_ts}&cid=${channel}`;
}
