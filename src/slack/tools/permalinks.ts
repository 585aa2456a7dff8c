import type { ChannelId, SlackTs } from '../../bridge/ids.ts';

/** Where a link to a message leads. */
export interface LinkedPlace {
  channel: ChannelId;
  ts: SlackTs;
  /** Set when the link says which thread the message is in. */
  threadTs: SlackTs | null;
}

const PATH = /^\/archives\/([CDG][A-Z0-9]{2,20})\/p(\d{10})(\d{6})$/;
const TS = /^\d{10}\.\d{6}$/;

/**
 * Reads a link as Slack's "Copy link" makes it. Nothing else counts: no other host, no port, no user name, nothing after
 * the path but the thread.
 * @param workspace the workspace's address (`https://team.slack.com/`); `null`: not known, so any of Slack's hosts counts
 * @returns `null`: it is no such link
 */
export function readPermalink(link: string, workspace: string | null): LinkedPlace | null {
  const given = link.trim().replace(/^<([^<>|]+)(?:\|[^<>]*)?>$/, '$1');
  if (!URL.canParse(given)) return null;
  const { protocol, host, username, password, pathname, searchParams, hash } = new URL(given);
  if (protocol !== 'https:' || username !== '' || password !== '' || hash !== '') return null;
  const own = workspace !== null && URL.canParse(workspace) ? new URL(workspace).host : null;
  const isOurs = own !== null ? host === own : /^[\w-]+(?:\.enterprise)?\.slack(?:-gov)?\.com$/.test(host);
  const [, channel, seconds, micros] = PATH.exec(pathname) ?? [];
  if (!isOurs || channel === undefined || [...searchParams.keys()].some((key) => key !== 'thread_ts' && key !== 'cid'))
    return null;
  const cid = searchParams.get('cid');
  const threadTs = searchParams.get('thread_ts');
  if ((cid !== null && cid !== channel) || (threadTs !== null && !TS.test(threadTs))) return null;
  const ts = `${seconds}.${micros}`;
  return { channel, ts, threadTs: threadTs === ts ? null : threadTs };
}

/** A time stamp of Slack's. */
export function isTs(text: string): text is SlackTs {
  return TS.test(text);
}

/** A time stamp, or an ISO date (UTC where it names no zone), as a time stamp; `null`: it is neither. */
export function readTime(text: string): SlackTs | null {
  const words = text.trim();
  if (TS.test(words)) return words;
  const found = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(words);
  if (!found) return null;
  const at = Date.parse(`${found[1]}T${found[2] ?? '00:00'}${found[3] ?? 'Z'}`);
  return Number.isNaN(at) || at < 0 ? null : `${String(Math.floor(at / 1000)).padStart(10, '0')}.000000`;
}
