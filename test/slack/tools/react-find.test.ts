import { describe, expect, it } from 'vitest';
import { HOME, toolStage } from './stage.ts';

describe('a reaction of the agent', () => {
  it('without a time stamp: on the message that the turn answers', async () => {
    const stage = await toolStage();
    const { text } = await stage.use('slack_react', { emoji: ':eyes:' });
    expect(text).toBe('You reacted with :eyes:.');
    expect(stage.slack.control.messages(HOME)[0]?.reactions).toEqual({ eyes: [stage.bot] });
  });

  it('as a sign: by its name', async () => {
    const stage = await toolStage();
    await stage.use('slack_react', { emoji: '\u2705' });
    expect(Object.keys(stage.slack.control.messages(HOME)[0]?.reactions ?? {})).toEqual(['white_check_mark']);
  });

  it('on another message of the thread: made', async () => {
    const stage = await toolStage();
    const { ts } = await stage.slack.control.message({
      ...{ channel: HOME, user: 'U02BOB', text: 'me', thread_ts: stage.root },
    });
    await stage.use('slack_react', { emoji: 'tada', ts });
    const reply = stage.slack.control.messages(HOME, { thread_ts: stage.root })[1];
    expect(reply?.reactions).toEqual({ tada: [stage.bot] });
  });

  it('on a message elsewhere in the channel: refused', async () => {
    const stage = await toolStage();
    const { ts } = await stage.slack.control.message({ channel: HOME, user: 'U02BOB', text: 'other' });
    const { plan, text } = await stage.use('slack_react', { emoji: 'tada', ts });
    expect(plan.may).toBe('no');
    expect(text).toContain('not in this thread');
  });

  it('made twice, or after a restart: counts as made', async () => {
    const stage = await toolStage();
    const { call } = await stage.use('slack_react', { emoji: 'eyes' });
    expect((await stage.use('slack_react', { emoji: 'eyes' })).result?.isError).toBeUndefined();
    expect((await stage.handlerOf('slack_react').recall?.(call))?.isError).toBeUndefined();
    expect(stage.slack.control.messages(HOME)[0]?.reactions).toEqual({ eyes: [stage.bot] });
  });

  it('after a lost confirmation: made once', async () => {
    const stage = await toolStage();
    await stage.slack.control.faults({ method: 'reactions.add', kind: 'reset_after' });
    expect((await stage.use('slack_react', { emoji: 'eyes' })).result?.isError).toBeUndefined();
  });

  it.each([
    ['an unknown name', 'nosuchthing'],
    ['words', 'two words'],
  ])('with %s: told what to give', async (_name, emoji) => {
    const stage = await toolStage();
    expect((await stage.use('slack_react', { emoji })).text).toContain('Slack has no such emoji');
  });

  it('without the scope: told which one', async () => {
    const stage = await toolStage({ slack: { scopes: ['chat:write', 'channels:history'] } });
    expect((await stage.use('slack_react', { emoji: 'eyes' })).text).toContain('reactions:write');
  });
});

describe('people whom the agent looks for', () => {
  it('are found by any part of a name', async () => {
    const stage = await toolStage();
    const { text } = await stage.use('slack_find_people', { query: 'MOREAU' });
    expect(text).toContain('U01ALICE "alice"');
    expect(text).toContain('time zone Europe/Amsterdam');
    expect((await stage.use('slack_find_people', { query: 'guest' })).text).toContain('U04GUEST "guest" (guest');
  });

  it('include user groups, by name or handle', async () => {
    const stage = await toolStage();
    expect((await stage.use('slack_find_people', { query: '@oncall' })).text).toContain('S01ONCALL "On call" (group');
  });

  it('with a deactivated account are not found', async () => {
    const stage = await toolStage();
    await stage.slack.control.user({ user: 'U03CARA', deleted: true });
    expect((await stage.use('slack_find_people', { query: 'cara' })).text).toContain('No one here is called "cara"');
  });

  it('for a guest: only those of the channel, and no groups', async () => {
    const stage = await toolStage();
    await stage.slack.control.member({ channel: HOME, user: 'U03CARA', joined: false });
    const more = { requester: 'U04GUEST' };
    expect((await stage.use('slack_find_people', { query: 'bob' }, more)).text).toContain('U02BOB');
    for (const query of ['cara', 'oncall'])
      expect((await stage.use('slack_find_people', { query }, more)).text).toContain('No one here');
  });

  it('without the scope for groups: people are found all the same', async () => {
    const stage = await toolStage({ slack: { scopes: ['users:read', 'channels:read'] } });
    expect((await stage.use('slack_find_people', { query: 'bob' })).text).toContain('U02BOB');
  });
});
