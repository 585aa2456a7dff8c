import type { Button, KnownBlock, PlainTextOption, HomeView as SlackHomeView } from '@slack/types';
import type { Prompt } from '../../bridge/access/policy.ts';
import { isDirect } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import { moment } from '../../bridge/text/moment.ts';
import type { HomeAgent, HomeApproval, HomeCheck, HomeThread, HomeView, HomeWaiting } from '../../bridge/view/home.ts';
import { BUTTONS } from '../words/cards.ts';
import { brokenText, DOING, HOME, machinesText, machineText, moreText, sinceText } from '../words/home.ts';
import { ACTION_IDS, AS_USUAL, NOTIFY_AFTER_ID } from './action-ids.ts';
import { actions, button, clip, context, mrkdwn, plain, section } from './blocks.ts';
import { durationWords } from './doing.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMrkdwn, neutralizePlain } from './neutralize.ts';
import { modelsButton } from './notice.ts';
import { ownMrkdwn } from './own-mrkdwn.ts';
import { openButton, permalink } from './permalink.ts';

/** Of each kind; more are only counted, because a view holds 100 blocks (docs/slack.md, Size limits). */
const LISTED = 15;

/** @param workspace the workspace's address (`https://team.slack.com/`); without it threads are named, not linked */
export function homeView(view: HomeView, workspace: string | null): SlackHomeView {
  if (view.kind === 'refused') return { type: 'home', blocks: [section(ownMrkdwn(view.notice))] };
  const { paused, checks, agents, machines, approvals, waiting, threads, prompts, notifyAfter, help, memory } = view;
  return {
    type: 'home',
    blocks: [
      ...(paused === null ? [] : [section(`⛔ ${ownMrkdwn(paused)}`)]),
      ...listBlocks(HOME.waiting, approvals, (approval) => approvalBlocks(approval, workspace)),
      ...listBlocks(HOME.leftOpen, waiting, (thread) => waitingBlocks(thread, workspace)),
      ...listBlocks(HOME.threads, threads, (thread) => threadBlocks(thread, workspace)),
      ...(threads.length === 0 ? [section(HOME.nothingRuns)] : []),
      { type: 'divider' },
      ...paragraphs(help),
      ...(prompts.length === 0 ? [] : [promptsBlock(prompts)]),
      ...(notifyAfter === null ? [] : [notifyBlock(notifyAfter)]),
      { type: 'divider' },
      context(mrkdwn(healthLine(checks)), ...agents.slice(0, AGENTS).map((agent) => plain(agentWords(agent)))),
      ...(machines === null ? [] : machineBlocks(machines)),
      context(mrkdwn(ownMrkdwn(memory))),
    ],
  };
}

const AGENTS = 5;
const MACHINES = 10;

function machineBlocks({ list, command }: NonNullable<(HomeView & { kind: 'open' })['machines']>): KnownBlock[] {
  const names = list
    .slice(0, MACHINES)
    .map(({ name, isOnline }) => machineText(clip(neutralizePlain(name), 80), isOnline));
  const more = list.length > MACHINES ? [moreText(list.length - MACHINES)] : [];
  return [
    context(plain(machinesText([...names, ...more]))),
    ...(command === null ? [] : [section(`${HOME.addMachine}\n\`\`\`\n${ownMrkdwn(clip(command, 1_500))}\n\`\`\``)]),
  ];
}

function listBlocks<T>(head: string, all: readonly T[], blocksOf: (one: T) => KnownBlock[]): KnownBlock[] {
  if (all.length === 0) return [];
  const more = all.length > LISTED ? [context(plain(`… ${moreText(all.length - LISTED)}`))] : [];
  return [section(`*${head}*`), ...all.slice(0, LISTED).flatMap(blocksOf), ...more];
}

function approvalBlocks({ address, tool, title, askedAt }: HomeApproval, workspace: string | null): KnownBlock[] {
  const about = foreignLine(`${tool}: ${title}`, 100);
  const open = openThread(address, workspace);
  const text = section(`${about}\nAsked ${moment(askedAt, 'minutes')} in ${placeOf(address)}`);
  return [open === null ? text : { ...text, accessory: open }];
}

function waitingBlocks({ address, question, failure, ways, since }: HomeWaiting, workspace: string | null) {
  const lines = [
    ...(question === '' ? [] : [foreignLine(question, 120)]),
    [...(failure === null ? [] : [`⚠️ ${foreignLine(failure, 400)}`]), ...ways].join(' '),
    sinceText(moment(since, 'minutes'), placeOf(address)),
  ];
  const open = openThread(address, workspace);
  const text = section(lines.join('\n'));
  return [open === null ? text : { ...text, accessory: open }];
}

function threadBlocks(thread: HomeThread, workspace: string | null) {
  const { address, question, doing, queued, since, stop, page, model, models } = thread;
  const about = question === '' ? '' : `${foreignLine(question, 120)}\n`;
  const more = [
    ...(queued > 0 ? [`queued (${queued})`] : []),
    ...(model === null ? [] : [`model ${foreignLine(model, 100)}`]),
    ...(page === null ? [] : [`<${page}|in Letta>`]),
  ];
  const state = [`${DOING[doing]} since ${moment(since, 'minutes')} in ${placeOf(address)}`, ...more].join(' · ');
  const open = openThread(address, workspace);
  const buttons = [
    ...(open === null ? [] : [open]),
    ...(stop === null ? [] : [button({ actionId: ACTION_IDS.stop, token: stop, ...BUTTONS.stop })]),
    ...(models === null ? [] : [modelsButton(models)]),
  ];
  return [section(`${about}${state}`), ...(buttons.length === 0 ? [] : [actions(...buttons)])];
}

/** One line of foreign text in mrkdwn, without formatting. */
function foreignLine(text: string, most: number): string {
  // Marks are removed first, because a mark before an `@` would hide the mention from the neutraliser.
  return neutralizeMrkdwn(clip(neutralizePlain(text), most).replace(/[*_~`]/g, ' '));
}

function promptsBlock(prompts: readonly Prompt[]): KnownBlock {
  const lines = prompts.map(({ message }) => `• ${foreignLine(message, 320)}`);
  return section(clip([HOME.tryThese, ...lines].join('\n'), LIMITS.text));
}

function notifyBlock({
  chosen,
  usual,
  choices,
}: NonNullable<(HomeView & { kind: 'open' })['notifyAfter']>): KnownBlock {
  const option = (value: string, label: string): PlainTextOption => ({ text: plain(label, LIMITS.option), value });
  const words = (ms: number) => (ms === 0 ? 'Never' : `After ${durationWords(ms)}`);
  const options = [
    option(AS_USUAL, `As usual (${words(usual).toLowerCase()})`),
    ...choices.map((ms) => option(String(ms), words(ms))),
  ];
  const current = options.find(({ value }) => value === (chosen === null ? AS_USUAL : String(chosen)));
  return {
    ...section(HOME.notify),
    accessory: {
      type: 'static_select',
      action_id: NOTIFY_AFTER_ID,
      options,
      ...(current && { initial_option: current }),
    },
  };
}

/** One line; of what works, no part is named. */
function healthLine(checks: readonly HomeCheck[]): string {
  const broken = checks.filter(({ ok }) => !ok);
  if (broken.length === 0) return HOME.works;
  return brokenText(broken.map(({ name, state }) => foreignLine(`${name} (${state})`, 200)));
}

function agentWords({ agentId, name, device, workingDirectory }: HomeAgent): string {
  return [
    name === null || name.trim() === '' ? `Agent ${agentId}` : name,
    ...(device ? [`on ${device}`] : []),
    ...(workingDirectory ? [`in ${workingDirectory}`] : []),
  ].join(' ');
}

function placeOf({ channel, kind }: ThreadAddress): string {
  if (kind === 'mpim') return HOME.groupMessage;
  return isDirect(channel) ? HOME.directMessage : `<#${channel}>`;
}

/** Leads to the thread; to the conversation where it has no threads. `null`: the workspace's address is not known. */
function openThread({ channel, threadTs }: ThreadAddress, workspace: string | null): Button | null {
  // Any message has an address when the workspace has one.
  const at = { channel, ts: threadTs ?? '0.0', threadTs: null };
  const url = permalink(at, workspace);
  if (url === null) return null;
  return openButton(threadTs === null ? url.slice(0, url.lastIndexOf('/')) : url);
}

function paragraphs(help: string): KnownBlock[] {
  return ownMrkdwn(help)
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim() !== '')
    .slice(0, 20)
    .map((paragraph) => section(clip(paragraph, LIMITS.text)));
}
