import { onTestFinished } from 'vitest';
import { type SlackOptions, type SmallSlack, startSlack } from '../../../sandbox/slack/server.ts';
import type { Clock, DeviceFile } from '../../../src/bridge/ports.ts';
import type { ToolInput, ToolName } from '../../../src/bridge/tools/catalogue.ts';
import type { ToolResult } from '../../../src/bridge/tools/result.ts';
import type { ToolCall, ToolPlan, ToolRights } from '../../../src/bridge/tools/tool.ts';
import { systemClock, systemRandom } from '../../../src/clock.ts';
import { meterCalls } from '../../../src/slack/api/call-meter.ts';
import { createUploader } from '../../../src/slack/api/uploader.ts';
import { createSlackApi } from '../../../src/slack/api/web-api.ts';
import { createThreadReader } from '../../../src/slack/inbound/thread-reader.ts';
import { createPeople } from '../../../src/slack/people/people.ts';
import type { GiveFile } from '../../../src/slack/tools/read-file.ts';
import { createSlackTools } from '../../../src/slack/tools/tools.ts';
import { createMemoryLog } from '../../support/log.ts';

const ALICE = 'U01ALICE';
export const HOME = 'C01GEN';
/** Waits of minutes take milliseconds. */
const quickClock: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 200, run) };

const usualRights: ToolRights = {
  mayMention: 'requester',
  postUnasked: [],
  at: () => ({ mayWork: true, mayReadMessages: true }),
};

interface StageOptions {
  slack?: SlackOptions;
  give?: GiveFile;
}

/** The tools on a small Slack, with a thread of Alice's in #general and a machine with files. */
export async function toolStage({ slack: options, give }: StageOptions = {}) {
  const slack: SmallSlack = await startSlack({ limits: 'off', ...options });
  onTestFinished(() => slack.close());
  const clock = quickClock;
  const random = systemRandom;
  const log = createMemoryLog();
  const meter = meterCalls(
    createSlackApi({ token: slack.tokens.bot, slackApiUrl: slack.url, log, clock, random }),
    clock,
  );
  const { team, bot } = slack.control.state();
  const identity = { teamId: team, botUserId: bot, botId: 'B00AGENT', appId: null, enterpriseId: null };
  const people = createPeople({ api: meter.api, clock });
  const workspace = 'https://sandbox.slack.com/';
  const tools = createSlackTools({
    api: meter.api,
    reader: createThreadReader({ api: meter.api, identity: identity as never, tier: 'full', meter }),
    people,
    nameOf: people.lastNameOf,
    upload: createUploader({ slackApiUrl: slack.url, fetch }),
    give: give ?? null,
    botUser: bot,
    enterpriseId: null,
    workspace,
    clock,
    random,
    log,
  });
  const { ts: root } = await slack.control.message({ channel: HOME, user: ALICE, text: '@agent go' });
  const files = new Map<string, Uint8Array>();
  const device: ToolCall['device'] = {
    id: 'device-1',
    conversation: 'conv-1',
    workingDirectory: '/work/app',
    readFile: async () => null,
    writeFile: async () => true,
    readBytes: async (path): Promise<DeviceFile> => {
      const bytes = files.get(path);
      return bytes ? { bytes } : { refused: 'missing', most: 0 };
    },
  };
  let count = 0;
  function callOf<Name extends ToolName>(name: Name, input: ToolInput<Name>, more: Partial<ToolCall> = {}) {
    count += 1;
    const call: ToolCall<Name> = {
      ...{
        name,
        input,
        key: `tool-${count}`,
        team,
        requester: ALICE,
        staysHere: false,
        participants: [],
        message: root,
      },
      address: { team, channel: HOME, threadTs: root },
      rights: usualRights,
      device,
      signal: new AbortController().signal,
      ...(more as Partial<ToolCall<Name>>),
    };
    return call;
  }
  function handlerOf<Name extends ToolName>(name: Name) {
    const handler = tools[name];
    if (!handler) throw new Error(`no handler for ${name}`);
    return handler;
  }
  /** Prepares and, where it may or people would say yes, runs it. */
  async function use<Name extends ToolName>(
    name: Name,
    input: ToolInput<Name>,
    more: Partial<ToolCall> = {},
  ): Promise<{ plan: ToolPlan; result: ToolResult | null; text: string; call: ToolCall<Name> }> {
    const call = callOf(name, input, more);
    const handler = handlerOf(name);
    const plan = await handler.prepare(call);
    const result = plan.may === 'no' ? null : await handler.run(call, plan);
    const text = plan.may === 'no' ? plan.why : textOf(result);
    return { plan, result, text, call };
  }
  return { slack, root, files, device, use, callOf, handlerOf, rights: usualRights, team, bot, workspace };
}

function textOf(result: ToolResult | null): string {
  return (result?.parts ?? []).map((part) => (part.type === 'text' ? part.text : `<${part.mediaType}>`)).join('\n');
}

/** How often a method of Slack was called. */
export function countCalls(slack: SmallSlack, method: string): number {
  return slack.control.log({ type: 'call', method }).length;
}
