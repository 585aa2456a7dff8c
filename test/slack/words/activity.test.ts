import { describe, expect, it } from 'vitest';
import { makeToken } from '../../../src/bridge/ids.ts';
import type { Activity, Card, TurnView } from '../../../src/bridge/view/turn.ts';
import { createRenderer, renderPosts } from '../../../src/slack/render/posts.ts';
import { activityWords } from '../../../src/slack/words/activity.ts';

const view = (activity: Activity, answers?: string): TurnView => ({
  turn: 'turn-1' as TurnView['turn'],
  address: { team: 'T1', channel: 'C1', threadTs: '1.000001' },
  notPassedOn: [],
  items: [],
  ...(answers !== undefined && { answers }),
  live: { activity, stop: null, queued: 0 },
  ending: null,
});
const notified = (activity: Activity, answers?: string) => renderPosts(view(activity, answers))[0]?.text;

const ALL: Activity[] = [
  { kind: 'starting' },
  { kind: 'starting', place: 5 },
  { kind: 'waiting_for_letta', notice: 'I can’t reach the Letta server.' },
  { kind: 'waiting_for_letta', notice: 'Letta device build-box is offline.', device: 'build-box' },
  { kind: 'thinking' },
  { kind: 'writing' },
  { kind: 'tool', tool: 'Bash', detail: 'npm test' },
  { kind: 'tool', tool: 'Edit', detail: 'src/lock.ts' },
  { kind: 'tool', tool: 'Custom', detail: '' },
  { kind: 'looking', steps: 3, detail: 'a.ts' },
  { kind: 'waiting_for_people' },
  { kind: 'retrying', attempt: 1, maxAttempts: 3 },
  { kind: 'stopping' },
  { kind: 'paused' },
];

describe('the notification of a message without text', () => {
  it('says what it answers, runs or waits for', () => {
    const question = 'is the nightly build green?';
    expect(ALL.map((activity) => notified(activity, question))).toEqual([
      'Answering: “is the nightly build green?”',
      'Waiting to start: position 5',
      'Waiting for Letta: I can’t reach the Letta server.',
      'Waiting for build-box, which is offline',
      'Answering: “is the nightly build green?”',
      'Answering: “is the nightly build green?”',
      'Running: npm test',
      'Using Edit: src/lock.ts',
      'Using Custom',
      'Looking around: 3 steps · a.ts',
      'Waiting for a decision',
      'The model failed; trying again (1 of 3)',
      'Stopping',
      'Paused while the bridge restarts',
    ]);
  });

  it('waits for a person: names them, without a ping', () => {
    const card: Card = {
      kind: 'question',
      token: makeToken('cardTOKEN'),
      title: 'Which?',
      questions: null,
      asks: ['U01ALICE'],
      stop: null,
      expiresAt: null,
      state: { state: 'open' },
    };
    // Text below the open card, with nothing to read in it yet.
    const items = [
      { kind: 'card' as const, card },
      { kind: 'text' as const, markdown: '-' },
    ];
    const waiting = { ...view({ kind: 'waiting_for_people' }), items };
    const words = (name: string | undefined) => renderPosts(waiting, undefined, { nameOf: () => name }).at(-1)?.text;
    expect(words('alice')).toBe('Waiting for @alice’s decision');
    expect(words(undefined)).toBe('Waiting for a decision');
    expect(words('<!channel>')).not.toMatch(/<[!@]/);
  });

  it('without a question: says so', () => {
    expect(notified({ kind: 'thinking' }, '')).toBe('Answering your message');
    expect(notified({ kind: 'thinking' })).toBe('The agent started working by itself');
  });

  it('contains foreign words: pings no one', () => {
    const evil = '<!channel> <@U02BOB>';
    const words = [
      notified({ kind: 'thinking' }, evil),
      notified({ kind: 'tool', tool: evil, detail: evil }),
      notified({ kind: 'tool', tool: 'Bash', detail: evil }),
      notified({ kind: 'waiting_for_letta', notice: evil, device: evil }),
    ];
    for (const text of words) expect(text).not.toMatch(/<[!@]/);
  });
});

describe('the line below a live message', () => {
  it('begins with one of the few signs', () => {
    for (const activity of ALL) expect(activityWords(activity).line).toMatch(/^(⏳|🔧|⛔) \S/u);
  });
});

describe('the status below the thread', () => {
  it('has no foreign words', () => {
    const { statusOf } = createRenderer();
    const evil = 'x<!channel>x';
    const statuses = [
      statusOf(view({ kind: 'tool', tool: evil, detail: evil })),
      statusOf(view({ kind: 'looking', steps: 1, detail: evil })),
      statusOf(view({ kind: 'waiting_for_letta', notice: evil, device: evil })),
      statusOf(view({ kind: 'waiting_for_people' })),
    ];
    for (const status of statuses) expect(status).toMatch(/^is [a-zL ]+…$/);
  });
});
