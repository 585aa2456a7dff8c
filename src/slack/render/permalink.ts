import type { Button } from '@slack/types';
import type { SlackTs } from '../../bridge/ids.ts';
import type { MessageAddress } from '../../bridge/ports.ts';
import { OPEN_ID } from './action-ids.ts';
import { plain } from './blocks.ts';

const ADDRESS = /^https:\/\/[\w.-]+\/$/;

/**
 * The address of a message, as Slack's "Copy link" makes it: `https://team.slack.com/archives/C123/p1700000000123456`,
 * for a reply with the thread that it is in.
 * @param workspace the workspace's address (`https://team.slack.com/`)
 * @returns `null` when the workspace's address is not known
 */
export function permalink({ channel, ts, threadTs }: MessageAddress, workspace: string | null): string | null {
  if (workspace === null || !ADDRESS.test(workspace)) return null;
  const reply = threadTs === null || threadTs === ts ? '' : `?thread_ts=${threadTs}&cid=${channel}`;
  return `${workspace}archives/${channel}/p${compact(ts)}${reply}`;
}

/** A button that opens a message. */
export function openButton(url: string): Button {
  return { type: 'button', action_id: OPEN_ID, text: plain('Open'), url };
}

const compact = (ts: SlackTs) => ts.replace('.', '');
