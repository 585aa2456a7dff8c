import type { KnownBlock, HomeView as SlackHomeView } from '@slack/types';
import { isDirect } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import { moment } from '../../bridge/text/moment.ts';
import type { HomeApproval, HomeThread, HomeView } from '../../bridge/view/home.ts';
import { clip, context, mrkdwn, plain, section } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMrkdwn, neutralizePlain } from './neutralize.ts';
import { ownMrkdwn } from './own-mrkdwn.ts';

/** Lines of one kind; more are only counted, because a view holds 100 blocks (docs/slack.md, Size limits). */
const LISTED = 15;

const DOING: Readonly<Record<HomeThread['doing'], string>> = {
  working: 'working',
  waiting_for_people: 'waiting for an answer',
  waiting_for_letta: 'waiting for Letta',
  ending: 'finishing',
  background: 'running in the background',
};

/** @param workspace the workspace's address (`https://team.slack.com/`); without it threads are named, not linked */
export function homeView(view: HomeView, workspace: string | null): SlackHomeView {
  if (view.kind === 'refused') return { type: 'home', blocks: [section(ownMrkdwn(view.notice))] };
  const { paused, checks, agents, approvals, threads, help } = view;
  const linked = (address: ThreadAddress) => link(address, workspace);
  return {
    type: 'home',
    blocks: [
      ...(paused === null ? [] : [section(`:double_vertical_bar: ${ownMrkdwn(paused)}`)]),
      ...listSection('Waiting for you', approvals, (approval) => approvalLine(approval, linked)),
      ...listSection('Your threads', threads, (thread) => threadLine(thread, linked)),
      ...(threads.length === 0 ? [section('Nothing is running for you.')] : []),
      ...(checks.length === 0 ? [] : [context(mrkdwn(checks.map(checkWords).join('   ')))]),
      ...agents.slice(0, LISTED).map((agent) => context(plain(agentWords(agent)))),
      { type: 'divider' },
      ...paragraphs(help),
    ],
  };
}

function listSection<T>(head: string, all: readonly T[], line: (one: T) => string): KnownBlock[] {
  if (all.length === 0) return [];
  const more = all.length > LISTED ? [`… and ${all.length - LISTED} more`] : [];
  const lines = [`*${head}*`, ...all.slice(0, LISTED).map((one) => `• ${line(one)}`), ...more];
  return [section(clip(lines.join('\n'), LIMITS.text))];
}

function approvalLine({ address, tool, title, askedAt }: HomeApproval, linked: (at: ThreadAddress) => string): string {
  // Marks are removed first, because a mark before an `@` would hide the mention from the neutraliser.
  const about = neutralizeMrkdwn(clip(neutralizePlain(`${tool}: ${title}`), 100).replace(/[*_~`]/g, ' '));
  return `${about}, asked ${moment(askedAt)} in ${linked(address)}`;
}

function threadLine({ address, doing, queued, since }: HomeThread, linked: (at: ThreadAddress) => string): string {
  return `${linked(address)}: ${DOING[doing]} since ${moment(since)}${queued > 0 ? `, queued (${queued})` : ''}`;
}

const checkWords = ({ name, ok, state }: { name: string; ok: boolean; state: string }) =>
  `${ok ? ':large_green_circle:' : ':red_circle:'} ${neutralizeMrkdwn(`${name}: ${state}`)}`;

function agentWords({
  agentId,
  device,
  workingDirectory,
}: {
  agentId: string;
  device: string | null;
  workingDirectory: string | null;
}): string {
  return [
    `Agent ${agentId}`,
    ...(device ? [`on ${device}`] : []),
    ...(workingDirectory ? [`in ${workingDirectory}`] : []),
  ].join(' ');
}

/** `https://team.slack.com/archives/C123/p1700000000123456`, as Slack's own "Copy link" makes it. */
function link({ channel, threadTs }: ThreadAddress, workspace: string | null): string {
  if (isDirect(channel) && threadTs === null) return 'our direct message';
  const place = isDirect(channel) ? 'our direct message' : `<#${channel}>`;
  if (workspace === null || threadTs === null || !/^https:\/\/[\w.-]+\/$/.test(workspace)) return place;
  return `${place} (<${workspace}archives/${channel}/p${threadTs.replace('.', '')}|thread>)`;
}

function paragraphs(help: string): KnownBlock[] {
  return ownMrkdwn(help)
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim() !== '')
    .slice(0, 20)
    .map((paragraph) => section(clip(paragraph, LIMITS.text)));
}
