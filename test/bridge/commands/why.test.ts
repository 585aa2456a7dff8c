import { describe, expect, it } from 'vitest';
import { OutcomeLog } from '../../../src/bridge/commands/outcome-log.ts';
import { linkedMessage } from '../../../src/bridge/commands/why.ts';
import { type MessageKey, makeMessageKey } from '../../../src/bridge/ids.ts';
import { createMiddle, type Middle, ROOT, TEAM } from '../../support/middle.ts';

const linkTo = (ts: string, channel = 'C01GEN', root?: string) =>
  `https://acme.slack.com/archives/${channel}/p${ts.replace('.', '')}${root ? `?thread_ts=${root}&cid=${channel}` : ''}`;

describe('a link to a message', () => {
  it('gives the keys of message and thread, bare or escaped by Slack', () => {
    const link = linkTo('1700000000.123456', 'C01GEN', '1699999999.000100');
    for (const text of [link, `<${link}>`, `<${link}|a message>`])
      expect(linkedMessage('T1', text)).toEqual({
        key: 'T1:C01GEN:1700000000.123456',
        thread: 'T1:C01GEN:1699999999.000100',
      });
    expect(linkedMessage('T1', linkTo('1700000000.123456'))?.thread).toBe('T1:C01GEN:1700000000.123456');
    expect(linkedMessage('T1', linkTo('1700000000.123456', 'D01ALICE'))?.thread).toBe('T1:D01ALICE:dm');
  });

  it('is not found in a link to a channel or file', () => {
    for (const text of ['', 'why', 'https://acme.slack.com/archives/C01GEN', 'https://acme.slack.com/files/U1/F1/p1'])
      expect(linkedMessage('T1', text)).toBeNull();
  });
});

describe('!why', () => {
  const T = (n: number) => `1767600000.${String(n).padStart(6, '0')}`;

  async function ask(middle: Middle, link: string, user = 'U02BOB', channel = 'C01GEN') {
    const command = { team: TEAM, channel, channelKind: 'channel' as const, text: `why ${link}` };
    return middle.intake.handleCommand({ ...command, actor: { user, team: TEAM } });
  }

  it('accepted message: tells that, and its present state', async () => {
    const middle = createMiddle();
    await middle.write('list', { ts: T(1), thread: null, mention: true });
    expect(await ask(middle, linkTo(T(1)))).toMatch(/I accepted it for the agent\. It is in the queue\./);
    middle.connection.ready();
    await middle.clock.settle();
    expect(await ask(middle, linkTo(T(1)))).toContain('The agent is working on it.');
    middle.connection.begin();
    middle.connection.end();
    await middle.clock.settle();
    expect(await ask(middle, linkTo(T(1)))).toBe('It was answered, unless someone stopped or discarded it.');
  });

  it('ignored or refused message: tells the reason', async () => {
    const middle = createMiddle();
    await middle.write('hello all', { ts: T(1), thread: null, mention: false });
    await middle.write('hi', { ts: T(2), thread: null, mention: true, user: 'U04GUEST' });
    middle.intake.noteIgnored(makeMessageKey({ team: TEAM, channel: 'C01GEN', ts: T(3) }), 'user_is_bot');
    middle.intake.noteIgnored(makeMessageKey({ team: TEAM, channel: 'C01GEN', ts: T(4) }), 'invented_next_year');
    expect(await ask(middle, linkTo(T(1)))).toContain(
      'I did not answer it: no one had mentioned the agent in that thread',
    );
    expect(await ask(middle, linkTo(T(2)))).toContain('I refused it: guests can’t use the agent');
    expect(await ask(middle, linkTo(T(3)))).toContain('I did not answer it: it came from a bot');
    expect(await ask(middle, linkTo(T(4)))).toContain('(invented next year)');
  });

  it('twin events: tells the first outcome', async () => {
    const middle = createMiddle();
    await middle.write('list', { ts: T(1), thread: null, mention: true });
    await middle.write('list', { ts: T(1), thread: null, mention: true });
    expect(await ask(middle, linkTo(T(1)))).toContain('I accepted it');
  });

  it('after a restart: tells what is stored, and since when it knows', async () => {
    const middle = createMiddle();
    await middle.write('list', { ts: T(1), thread: null, mention: true });
    await middle.restart();
    expect(await ask(middle, linkTo(T(1)))).toBe('It is in the queue.');
    expect(await ask(middle, linkTo(T(9)))).toMatch(/^I have seen no such message since <!date\^/);
  });

  it('message of another channel: tells only its author', async () => {
    const middle = createMiddle();
    await middle.write('secret', { ts: T(1), thread: null, mention: true, channel: 'C9PRIV' });
    expect(await ask(middle, linkTo(T(1), 'C9PRIV'))).toBe('Ask this in the channel of that message.');
    expect(await ask(middle, linkTo(T(1), 'C9PRIV'), 'U01ALICE')).toContain('I accepted it');
  });

  it('without a link: explains how to copy one', async () => {
    const middle = createMiddle();
    await middle.write('list', { ts: ROOT, thread: null, mention: true });
    await middle.write('!why');
    expect(middle.surface.whispered.at(-1)?.text).toContain('Copy link');
    expect(await ask(middle, 'nothing')).toContain('Copy link');
  });
});

describe('the log of decisions', () => {
  it('is bounded: the oldest entries are dropped', () => {
    const log = new OutcomeLog(0);
    const key = (n: number) => `T1:C1:1.${n}` as MessageKey;
    for (let n = 0; n < 6_000; n += 1)
      log.noteOutcome({ key: key(n), user: null, at: n, outcome: 'ignored', reason: null });
    expect([log.findOutcome(key(0)), log.findOutcome(key(999))]).toEqual([null, null]);
    expect(log.findOutcome(key(1_000))).not.toBeNull();
  });
});
