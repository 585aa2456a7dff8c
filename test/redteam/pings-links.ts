import fc from 'fast-check';
import { expect } from 'vitest';
import { pingsOf } from '../../sandbox/slack/text/pings.ts';
import { shownRequest } from '../../src/bridge/approvals/shown.ts';
import { makeToken, makeTurnId } from '../../src/bridge/ids.ts';
import type { Schedule } from '../../src/bridge/schedules/schedule.ts';
import { asCode } from '../../src/bridge/text/as-code.ts';
import { oneLine } from '../../src/bridge/text/one-line.ts';
import type { TurnView } from '../../src/bridge/view/turn.ts';
import { askedText, reactedText } from '../../src/bridge/words/asks.ts';
import { feedbackText } from '../../src/bridge/words/feedback.ts';
import {
  askScheduleText,
  missedText,
  refusedByLettaText,
  scheduledText,
  scheduleLine,
} from '../../src/bridge/words/schedules.ts';
import { askView } from '../../src/slack/modals/ask-view.ts';
import { detailsView } from '../../src/slack/modals/details-view.ts';
import { fullView } from '../../src/slack/modals/full-view.ts';
import { plainPosts } from '../../src/slack/outbox/plain.ts';
import { approvalCard } from '../../src/slack/render/approval-blocks.ts';
import { decisionLine } from '../../src/slack/render/decision-line.ts';
import { homeView } from '../../src/slack/render/home.ts';
import { noticePosts } from '../../src/slack/render/notice.ts';
import { offerPosts } from '../../src/slack/render/offer.ts';
import { ownMrkdwn } from '../../src/slack/render/own-mrkdwn.ts';
import type { SlackPost } from '../../src/slack/render/post.ts';
import { renderPosts } from '../../src/slack/render/posts.ts';
import { questionCard } from '../../src/slack/render/question-blocks.ts';
import { simplerPosts } from '../../src/slack/render/simpler.ts';
import { summary } from '../../src/slack/render/summary.ts';
import { anyText } from '../slack/render/markdown-arbitrary.ts';
import { referenceNodes } from '../support/markdown-reference.ts';

const token = makeToken('tok');
/** The only one whom our own words mention here. */
const OURS = 'U01OURS';
const asking = { team: 'T1', channel: 'C1', channelKind: 'channel', ts: '1.1', threadTs: null, message: null } as const;
const address = { team: 'T1', channel: 'C1', threadTs: '1.000001' };

/** Every spelling of something that pings, links or hides: as typed, escaped once, twice, by number, in halves. */
const TOKENS = [
  '<!subteam^S0EVIL>',
  '<@U0EVIL>',
  '<!channel>',
  '<!here|x>',
  '<!everyone>',
  '<https://evil.example|github.com>',
  '@channel',
];
const once = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const SPELLINGS: readonly ((text: string) => string)[] = [
  (text) => text,
  once,
  (text) => once(once(text)),
  (text) => once(once(once(text))),
  (text) => text.replaceAll('<', '&#60;').replaceAll('>', '&#62;'),
  (text) => text.replaceAll('<', '&#x3c;').replaceAll('>', '&#x3E;'),
  (text) => text.replaceAll('<', '\\<'),
  (text) => text.replaceAll('<', '&lt').replaceAll('>', '&gt'),
  (text) => once(text).replace('&', '&\u200B'),
  (text) => `\u{F0000}${text}\u{F0001}`,
  (text) => text.replace(/^</, '<<'),
];
const spelled = fc.tuple(fc.constantFrom(...TOKENS), fc.constantFrom(...SPELLINGS)).map(([text, how]) => how(text));
const placed = fc.tuple(
  spelled,
  fc.constantFrom(
    'X',
    '`X`',
    '**X**',
    '> X',
    '- X',
    '```\nX\n```',
    '| a |\n|---|\n| X |',
    '[X](https://a.example)',
    '~~X~~X',
    '\\`X`',
    '``X',
    'a\nX\nb',
    '[a]: X',
    '![X](b)',
  ),
);

/** Labels that pretend to lead to GitHub. */
const DISGUISES = [
  'github.com',
  'https://github.com/login',
  'http://10.0.0.5/x',
  'github．com',
  'git\u034Fhub.com',
  'github.com evil.example',
  'a@github.com',
  'https://[::1]/x',
  'intranet:80/x',
];
const disguised = fc
  .tuple(
    fc.constantFrom(...DISGUISES),
    fc.constantFrom(
      '[L](https://evil.example/a)',
      '![L](<https://evil.example>)',
      '[**L**](https://evil.example "t")',
      '[`L`](https://evil.example)',
      '[L](mailto:a@evil.example)',
      'x [L](https://u:p@evil.example/y)',
    ),
  )
  .map(([label, link]) => link.replace('L', label));

export const documents = fc
  .array(
    fc.oneof(
      placed.map(([text, place]) => place.replace('X', () => text)),
      disguised,
      anyText,
    ),
    { minLength: 1, maxLength: 3 },
  )
  .chain((pieces) => fc.constantFrom('\n\n', '\n', ' ').map((between) => pieces.join(between)));

function view(text: string, over: boolean): TurnView {
  const ending = { outcome: 'failed' as const, by: OURS, line: text, tools: 0, durationMs: 1 };
  const activity = { kind: 'tool' as const, tool: oneLine(text, 40), detail: oneLine(text) };
  return {
    turn: makeTurnId('t'),
    address,
    notPassedOn: [text],
    items: [{ kind: 'text', markdown: text }],
    verbosity: 'verbose',
    tools: { lines: [{ tool: oneLine(text, 40), detail: oneLine(text), status: 'ok' }], earlier: 0 },
    live: over ? null : { activity, stop: token, queued: 1 },
    ending: over ? ending : null,
  };
}

/** Everything that Slack is sent where this text stands in it. */
function sinks(text: string): Record<string, { text: string; blocks: unknown[] }[]> {
  const over = renderPosts(view(text, true));
  const quoted = `Stopped. I discarded these queued messages:\n- <@${OURS}>: ${asCode(oneLine(text, 80))}\n- ${asCode(text)}`;
  const question = { question: text, header: text, multiSelect: true, options: [{ label: text, description: text }] };
  const card = {
    kind: 'question' as const,
    token,
    title: text,
    questions: [question],
    asks: [OURS],
    stop: token,
    expiresAt: null,
  };
  const asked = questionCard({ ...card, state: { state: 'open' } });
  const decided = decisionLine(
    { state: 'decided', decision: 'denied', by: OURS, at: 1, words: text, digest: '', via: 'click' } as never,
    { tool: text, title: text },
  );
  const step = { kind: 'call' as const, tool: text, input: text, output: text, status: 'ok' as const };
  const details = { turn: makeTurnId('t'), endedAt: 1, steps: [step, { kind: 'thought' as const, text }], earlier: 0 };
  const cardOf = (tool: string, input: Record<string, unknown>) =>
    approvalCard({
      kind: 'approval',
      token,
      tool,
      title: oneLine(text),
      shown: shownRequest({
        requestId: 'r',
        tool,
        input,
        diffs: [{ kind: 'unavailable', fileName: text, reason: text }],
      } as never),
      asks: [OURS],
      workingDirectory: text,
      device: text,
      offers: { edit: true, grant: { label: oneLine(text) }, rule: false },
      stop: null,
      expiresAt: null,
      state: { state: 'open' },
    } as never);
  const approval = cardOf(text, { command: text, description: oneLine(text), [text]: text });
  const post = { part: 'card-x', kind: 'card' as const, blocks: approval.blocks, text: '', live: false };
  const schedule: Schedule = {
    ...{ id: 'abcd1234', owner: OURS, prompt: text, cron: '0 9 * * 1', once: null, zone: 'UTC' },
    ...{ madeAt: 0, wanted: 'active', confirmed: 'active', firedAt: 0 },
  };
  const bare = (blocks: unknown[]) => [{ text: '', blocks }];
  const forms = (form: 'smaller' | 'mrkdwn'): SlackPost[] => over.flatMap((post) => simplerPosts(post, form));
  return {
    answer: over,
    live: renderPosts(view(text, false)),
    smaller: forms('smaller'),
    mrkdwn: forms('mrkdwn'),
    plain: over.flatMap((post) => plainPosts(post)),
    notice: noticePosts(quoted),
    'notice in the clear': noticePosts(`<@${OURS}> ${text.replaceAll('<', '‹')}`),
    'words about an answer': [
      {
        text: ownMrkdwn(
          feedbackText({ good: 0, bad: 1 }, [{ at: 0, user: OURS, where: '', verdict: 'bad', words: text }]),
        ),
        blocks: [],
      },
    ],
    asked: noticePosts(askedText(OURS, text)),
    reacted: noticePosts(reactedText(OURS, 'eyes', text, true)),
    'asked about': bare(
      askView({
        kind: 'ask',
        ask: { ...asking, actor: { user: OURS, team: 'T1' } },
        askedTs: '1.2',
        about: oneLine(text),
      }).blocks,
    ),
    offer: offerPosts({ token, text: quoted, buttons: ['run_now'] }),
    schedule: offerPosts({ token, text: askScheduleText(schedule, 0), buttons: ['make_schedule', 'drop_schedule'] }),
    'schedule made': offerPosts({ token, text: scheduledText(schedule), buttons: [] }),
    'schedule refused': noticePosts(refusedByLettaText(schedule, text)),
    'schedule missed': noticePosts(missedText(schedule)),
    'schedule listed': [{ text: ownMrkdwn(scheduleLine(schedule, 0)), blocks: [] }],
    command: [{ text: ownMrkdwn(quoted), blocks: [] }],
    question: bare(asked.blocks),
    approval: [{ text: summary(approval.words), blocks: approval.blocks }],
    'approval in mrkdwn': simplerPosts(post, 'mrkdwn'),
    plan: bare(cardOf('ExitPlanMode', { plan: text, [text]: text }).blocks),
    'file in the head': bare(cardOf('Write', { file_path: text, content: text }).blocks),
    decided: bare(decided ? [decided.block] : []),
    details: bare(detailsView({ token, details, page: 0 }).blocks),
    full: bare(
      fullView({ kind: 'view_full', token, title: text, text, page: 0, approves: true, redacted: false } as never)
        .blocks,
    ),
    home: bare(
      homeView(
        {
          kind: 'open',
          machines: {
            list: [{ name: text, isOnline: true }],
            command: null,
          },
          paused: quoted,
          checks: [{ name: text, ok: true, state: text }],
          agents: [{ agentId: text, name: text, device: text, workingDirectory: text }],
          approvals: [{ address, tool: text, title: text, askedAt: 1 }],
          waiting: [{ address, question: text, failure: text, ways: [], since: 1 }],
          threads: [
            {
              address,
              question: text,
              doing: 'working',
              queued: 0,
              since: 1,
              stop: null,
              page: null,
              model: text,
              models: null,
            },
          ],
          prompts: [{ title: text, message: text }],
          notifyAfter: null,
          help: quoted,
          memory: quoted,
        } as never,
        null,
      ).blocks,
    ),
  };
}

/** Nothing but our own mention pings in any of them, and no link hides where it leads. */
export function judge(text: string): void {
  for (const [sink, messages] of Object.entries(sinks(text))) {
    for (const message of messages) {
      const pings = pingsOf({ text: message.text, blocks: message.blocks as never, attachments: [] });
      expect(
        pings.filter((who) => who !== OURS),
        `${sink} of ${JSON.stringify(text)}`,
      ).toEqual([]);
      for (const block of message.blocks as { type: string; text?: unknown }[]) {
        if (block.type === 'markdown') judgeLinks(sink, String(block.text));
        else for (const mrkdwn of mrkdwnIn(block)) judgeTokens(sink, mrkdwn);
      }
      judgeTokens(sink, message.text);
    }
  }
}

const saysWhere = /^[*_~]{0,6} \((?:\S*evil\.example\S*)\)/;

function judgeLinks(sink: string, markdown: string): void {
  for (const node of referenceNodes(markdown)) {
    if (
      node.type !== 'link' ||
      !node.url.includes('evil.example') ||
      markdown.charAt(node.position?.start.offset ?? 0) !== '['
    )
      continue;
    const behind = markdown.slice(node.position?.end.offset);
    const label = markdown.slice(node.position?.start.offset, node.position?.end.offset);
    if (/github|10\.0\.0|::1|intranet/.test(label.split('](')[0] ?? ''))
      expect(behind, `${sink}: ${label}`).toMatch(saysWhere);
  }
}

/** mrkdwn's links with a label. */
function judgeTokens(sink: string, text: string): void {
  for (const found of text.matchAll(/<(?:https?:|mailto:)[^<>|]*evil\.example[^<>|]*\|([^<>]*)>/g)) {
    if (/github|10\.0\.0|::1|intranet/.test(found[1] ?? ''))
      expect(text.slice(found.index + found[0].length), `${sink}: ${found[0]}`).toMatch(saysWhere);
  }
}

/** The texts in a block that Slack reads for tokens. */
function mrkdwnIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { type, text } = value as { type?: unknown; text?: unknown };
  if (type === 'mrkdwn' && typeof text === 'string') return [text];
  return Object.values(value).flatMap(mrkdwnIn);
}
