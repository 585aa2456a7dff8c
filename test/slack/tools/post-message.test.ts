import { describe, expect, it } from 'vitest';
import { countCalls, HOME, toolStage } from './stage.ts';

/** Two public channels that no other organisation shares. */
async function publicStage() {
  const stage = await toolStage({ slack: { channels: ['C07BIG'] } });
  await stage.slack.control.member({ channel: HOME, user: 'U05EXT', joined: false });
  return stage;
}

type Stage = Awaited<ReturnType<typeof toolStage>>;

describe('a message that the agent posts elsewhere', () => {
  it('needs a card that names the channel', async () => {
    const stage = await publicStage();
    const call = stage.callOf('slack_post_message', { channel: '#c07big', text: 'hi' });
    const plan = await stage.handlerOf('slack_post_message').prepare(call);
    expect(plan).toMatchObject({
      may: 'ask',
      facts: ['In #c07big (C07BIG)', expect.stringContaining('go on with this conversation')],
    });
  });

  it('rests on where it goes, and where replies belong', async () => {
    const stage = await publicStage();
    const handler = stage.handlerOf('slack_post_message');
    const call = stage.callOf('slack_post_message', { channel: '#c07big', text: 'hi' });
    const seal = async (more = {}) => ({ seal: '', ...(await handler.prepare({ ...call, ...more })) }).seal;
    const before = await seal();
    expect(await seal()).toBe(before);
    expect(await seal({ input: { channel: '#eng', text: 'hi' } })).not.toBe(before);
    expect(await seal({ address: { team: stage.team, channel: 'C02ENG', threadTs: null } })).not.toBe(before);
  });

  it('is not posted when its replies would belong elsewhere by now', async () => {
    const stage = await publicStage();
    const handler = stage.handlerOf('slack_post_message');
    const call = stage.callOf('slack_post_message', { channel: 'C07BIG', text: 'hi' });
    const plan = await handler.prepare(call);
    await stage.slack.control.member({ channel: HOME, user: 'U05EXT', joined: true });
    expect(await handler.run(call, plan as never)).toMatchObject({ isError: true });
    expect(stage.slack.control.messages('C07BIG')).toEqual([]);
  });

  it('in a channel that the policy lists: needs none', async () => {
    const stage = await publicStage();
    const rights = { ...stage.rights, postUnasked: ['C07BIG'] };
    const { plan, result } = await stage.use('slack_post_message', { channel: 'C07BIG', text: '**hi**' }, { rights });
    expect(plan.may).toBe('run');
    const [message] = stage.slack.control.messages('C07BIG');
    expect(message?.blocks).toMatchObject([{ type: 'markdown', text: '**hi**' }]);
    expect(result?.posted).toEqual({ channel: 'C07BIG', ts: message?.ts, threadTs: null });
  });

  it.each([
    ['a direct message', { channel: 'D01ALICE', threadTs: null }],
    ['a private channel', { channel: 'C02ENG', threadTs: null }],
  ])('from %s: replies are not for its conversation', async (_name, home) => {
    const stage = await toolStage({ slack: { channels: ['C07BIG'] } });
    const address = { team: stage.team, ...home };
    const { plan, result } = await stage.use('slack_post_message', { channel: 'C07BIG', text: 'hi' }, { address });
    expect(plan).toMatchObject({ facts: ['In #c07big (C07BIG)'] });
    expect([result?.isError, result?.posted]).toEqual([undefined, undefined]);
  });

  it.each([
    ['to a shared channel', { from: 'C07BIG', to: HOME, isShared: true }],
    ['from a shared channel', { from: HOME, to: 'C07BIG', isShared: true }],
    // What its members say there would else be asked for by everybody here.
    ['to a private channel', { from: HOME, to: 'C02ENG', isShared: false }],
  ])('%s: replies are not for its conversation', async (_name, { from, to, isShared }) => {
    const stage = await publicStage();
    await stage.slack.control.member({ channel: HOME, user: 'U05EXT', joined: isShared });
    const address = { team: stage.team, channel: from, threadTs: null };
    const { plan, result } = await stage.use('slack_post_message', { channel: to, text: 'hi' }, { address });
    expect(plan).toMatchObject({ facts: [expect.stringContaining(to)] });
    expect([result?.isError, result?.posted]).toEqual([undefined, undefined]);
  });

  it('as a reply there: is in that thread', async () => {
    const stage = await publicStage();
    const { ts } = await stage.slack.control.message({ channel: 'C07BIG', user: 'U01ALICE', text: 'root' });
    const { result } = await stage.use('slack_post_message', { channel: 'C07BIG', text: 'hi', thread_ts: ts });
    expect(result?.posted).toMatchObject({ threadTs: ts });
    expect(stage.slack.control.messages('C07BIG', { thread_ts: ts })).toHaveLength(2);
  });

  it('below a root that is gone: taken back, and told', async () => {
    const stage = await toolStage();
    const { ts } = await stage.slack.control.message({ channel: 'C02ENG', user: 'U02BOB', text: 'root' });
    await stage.slack.control.deleteMessage({ channel: 'C02ENG', messageTs: ts });
    const { result } = await stage.use('slack_post_message', { channel: 'C02ENG', text: 'hi', thread_ts: ts });
    expect(result).toMatchObject({ isError: true });
    expect(stage.slack.control.messages('C02ENG').filter(({ deleted }) => !deleted)).toEqual([]);
  });

  it('in its own thread: needs no card, and belongs to it anyway', async () => {
    const stage = await toolStage();
    const { plan, result } = await stage.use('slack_post_message', {
      ...{ channel: HOME, thread_ts: stage.root, text: 'look, <@U01ALICE>' },
    });
    expect(plan.may).toBe('run');
    expect(result?.posted).toBeUndefined();
    expect(stage.slack.control.messages(HOME, { thread_ts: stage.root })[1]?.pings).toEqual(['U01ALICE']);
  });

  it.each([
    ['a public channel without the bot', { channel: 'C03OUT' }, 'bot is not a member'],
    ['a direct message of another person', { channel: 'D02BOB' }, 'knows no channel'],
    ['a person', { channel: 'U02BOB' }, 'knows no channel'],
    ['a channel that is not there', { channel: '#nope' }, 'knows no channel'],
    ['a thread that is no time stamp', { channel: 'C02ENG', thread_ts: 'now' }, 'Give a time stamp'],
    ['more than one message', { channel: 'C02ENG', text: 'word '.repeat(3_000) }, 'too long'],
    ['nothing to see', { channel: 'C02ENG', text: '<!-- -->' }, ''],
  ])('to %s: refused', async (_name, input, words) => {
    const stage = await toolStage();
    const { plan, text } = await stage.use('slack_post_message', { text: 'hi', ...input });
    if (words !== '') expect([plan.may, text]).toEqual(['no', expect.stringContaining(words)]);
    expect(stage.slack.control.messages('D02BOB')).toEqual([]);
  });

  it('to a channel without the requester: refused like an unknown one', async () => {
    const stage = await toolStage();
    await stage.slack.control.member({ channel: 'C02ENG', user: 'U01ALICE', joined: false });
    const { plan, text } = await stage.use('slack_post_message', { channel: '#eng', text: 'hi' });
    expect([plan.may, text]).toEqual(['no', expect.stringContaining('knows no channel #eng')]);
  });

  it('to a channel that the policy closes: refused', async () => {
    const stage = await toolStage();
    const rights = { ...stage.rights, at: () => ({ mayWork: false, mayReadMessages: true }) };
    expect((await stage.use('slack_post_message', { channel: '#eng', text: 'hi' }, { rights })).plan.may).toBe('no');
  });

  it('in a turn that no one asked for: stays in its thread', async () => {
    const stage = await toolStage();
    const rights = { ...stage.rights, postUnasked: ['C02ENG'] };
    const unasked = { rights, staysHere: true };
    expect((await stage.use('slack_post_message', { channel: 'C02ENG', text: 'hi' }, unasked)).plan.may).toBe('no');
    expect(stage.slack.control.messages('C02ENG')).toEqual([]);
    const here = { channel: HOME, thread_ts: stage.root, text: 'hi' };
    expect((await stage.use('slack_post_message', here, unasked)).plan.may).toBe('run');
  });

  it('in a channel that was archived: refused', async () => {
    const stage = await toolStage();
    await stage.slack.control.archive({ channel: 'C02ENG' });
    expect((await stage.use('slack_post_message', { channel: 'C02ENG', text: 'hi' })).text).toContain('archived');
  });

  it.each([
    ['short', 'hi '.repeat(20), 1],
    // Its end would be cut off.
    ['long', 'hi '.repeat(2_000), 0],
  ])('with blocks that Slack refuses: posted whole or not at all (%s)', async (_name, text, posts) => {
    const stage = await toolStage();
    await stage.slack.control.faults({ method: 'chat.postMessage', kind: 'ok_false', error: 'invalid_blocks' });
    const { result } = await stage.use('slack_post_message', { channel: 'C02ENG', text });
    expect([result?.isError === true, stage.slack.control.messages('C02ENG').length]).toEqual([posts === 0, posts]);
  });

  it('after a lost confirmation: found, and posted once', async () => {
    const stage = await publicStage();
    await stage.slack.control.faults({ method: 'chat.postMessage', kind: 'reset_after' });
    const { result } = await stage.use('slack_post_message', { channel: 'C07BIG', text: 'hi' });
    const messages = stage.slack.control.messages('C07BIG');
    expect(messages).toHaveLength(1);
    expect(result?.posted).toMatchObject({ ts: messages[0]?.ts });
  });

  it('lost before Slack got it: told as unknown, not repeated', async () => {
    const stage = await toolStage();
    await stage.slack.control.faults({ method: 'chat.postMessage', kind: 'reset_before' });
    const { result } = await stage.use('slack_post_message', { channel: 'C02ENG', text: 'hi' });
    expect(result?.isError).toBe(true);
    expect(countCalls(stage.slack, 'chat.postMessage')).toBe(1);
  });

  it('while Slack limits posts: posted when it may', async () => {
    const stage = await toolStage();
    await stage.slack.control.faults({ method: 'chat.postMessage', kind: 'ratelimited', retryAfter: 2 });
    expect((await stage.use('slack_post_message', { channel: 'C02ENG', text: 'hi' })).result?.isError).toBeUndefined();
    expect(stage.slack.control.messages('C02ENG')).toHaveLength(1);
  });

  it('after a restart in the middle: found by its key', async () => {
    const stage = await publicStage();
    const handler = stage.handlerOf('slack_post_message');
    const { call, result } = await stage.use('slack_post_message', { channel: 'C07BIG', text: 'hi' });
    expect(await handler.recall?.(call)).toMatchObject({ posted: result?.posted });
    expect(await handler.recall?.({ ...call, key: 'tool-other' })).toMatchObject({ isError: true });
  });

  it.each([
    ['Slack is away', async ({ slack }: Stage) => void (await slack.control.faults({ kind: 'http_500', times: 50 }))],
    [
      'the requester has left the channel',
      async ({ slack }: Stage) =>
        void (await slack.control.member({ channel: 'C02ENG', user: 'U01ALICE', joined: false })),
    ],
  ])('after a restart in the middle, while %s: told as unknown', async (_name, change) => {
    const stage = await toolStage();
    const { call } = await stage.use('slack_post_message', { channel: 'C02ENG', text: 'hi' });
    await change(stage);
    expect(await stage.handlerOf('slack_post_message').recall?.(call)).toBeNull();
  });
});
