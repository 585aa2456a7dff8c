import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pingsOf } from '../../sandbox/slack/text/pings.ts';
import type { MayMention } from '../../src/bridge/tools/may-mention.ts';
import { readPermalink } from '../../src/slack/tools/permalinks.ts';
import { mayMention, renderComment, renderMessage } from '../../src/slack/tools/texts.ts';
import { toolStage } from '../slack/tools/stage.ts';
import { runs } from '../support/runs.ts';
import { documents } from './pings-links.ts';

const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  requester: ['U0REQ'],
  thread: ['U0REQ', 'U0PART'],
  list: ['U0LIST'],
};
const whom: Readonly<Record<string, MayMention>> = { requester: 'requester', thread: 'thread', list: ['U0LIST'] };

/** Texts that mention people, allowed and not, in every place and spelling. */
const mentioning = fc
  .tuple(
    documents,
    fc.constantFrom('<@U0REQ>', '<@U0PART|x>', '<@U0LIST>', '<@U0EVIL>', '<!subteam^S0EVIL>', '<!here>'),
    fc.constantFrom('X', '`X`', '[X](https://a.example/X)', '```\nX\n```', '> X', '| X |\n|---|\n| X |', '\\X', '<X>'),
  )
  .map(([text, token, place]) => `${text}\n\n${place.replaceAll('X', token)}\n\n${text}`);

describe('a text that a tool posts', () => {
  it.each(Object.keys(whom))('with the policy %s: notifies no one else', (name) => {
    const rights = {
      mayMention: whom[name] ?? [],
      postUnasked: [],
      at: () => ({ mayWork: true, mayReadMessages: true }),
    };
    const may = mayMention({ rights, requester: 'U0REQ', participants: ['U0PART'] });
    const most = ALLOWED[name] ?? [];
    fc.assert(
      fc.property(mentioning, (text) => {
        const message = renderMessage(text, may, (id) => `<!here> ${id}`);
        const comment = renderComment(text, may, (id) => `<!here> ${id}`);
        const blocks = (message?.blocks ?? []) as never[];
        const pings = [
          ...pingsOf({ text: message?.text ?? '', blocks, attachments: [], linkNames: true }),
          ...pingsOf({ text: message?.plain ?? '', blocks: [], attachments: [], linkNames: true }),
          ...pingsOf({ text: comment ?? '', blocks: [], attachments: [], linkNames: true }),
        ];
        expect(pings.filter((id) => !most.includes(id))).toEqual([]);
      }),
      { numRuns: runs(150) },
    );
  });

  it('notifies those whom the policy names', () => {
    const message = renderMessage(
      '**Hi** <@U0REQ|boss>, ask <@U0EVIL>',
      (id) => id === 'U0REQ',
      () => 'Eve',
    );
    expect(JSON.stringify(message?.blocks)).toContain('**Hi** <@U0REQ>, ask @Eve');
  });
});

describe('a link that a tool follows', () => {
  const workspace = 'https://sandbox.slack.com/';
  const good = 'https://sandbox.slack.com/archives/C01GEN/p1700000000123456';

  it('is read as Slack writes it', () => {
    expect(readPermalink(good, workspace)).toEqual({ channel: 'C01GEN', ts: '1700000000.123456', threadTs: null });
    expect(readPermalink(`<${good}?thread_ts=1600000000.000001&cid=C01GEN|x>`, workspace)).toMatchObject({
      threadTs: '1600000000.000001',
    });
  });

  it.each([
    'https://other.slack.com/archives/C01GEN/p1700000000123456',
    'https://sandbox.slack.com.evil.example/archives/C01GEN/p1700000000123456',
    'https://sandbox.slack.com@evil.example/archives/C01GEN/p1700000000123456',
    'http://sandbox.slack.com/archives/C01GEN/p1700000000123456',
    'https://sandbox.slack.com:444/archives/C01GEN/p1700000000123456',
    'https://sandbox.slack.com/archives/C01GEN/p1700000000123456/../../D02BOB/p1',
    'https://sandbox.slack.com/archives/C01GEN/p170000000012345',
    'https://sandbox.slack.com/archives/C01GEN/p1700000000123456?thread_ts=1&cid=C01GEN',
    'https://sandbox.slack.com/archives/C01GEN/p1700000000123456?cid=C02ENG',
    'https://sandbox.slack.com/archives/C01GEN/p1700000000123456?x=1',
    'javascript:alert(1)',
    '',
  ])('%s: is not followed', (link) => {
    expect(readPermalink(link, workspace)).toBeNull();
  });

  it('of any other text: is not followed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true })), (text) => {
        const found = readPermalink(text, workspace);
        expect(found === null || text.includes(found.channel)).toBe(true);
      }),
      { numRuns: runs(300) },
    );
  });
});

describe('a tool, whoever calls it', () => {
  /** Where somebody is, and where the bot is, decide together; nothing that is said changes it. */
  it('reads and writes only where both its requester and the bot are', async () => {
    const stage = await toolStage({ slack: { channels: ['C07BIG'] } });
    const { slack } = stage;
    await slack.control.member({ channel: 'C02ENG', user: 'U03CARA', joined: false });
    await slack.control.member({ channel: 'C07BIG', user: 'U02BOB', joined: true });
    const channels = ['C01GEN', 'C02ENG', 'C03OUT', 'C07BIG', 'D01ALICE', 'D02BOB', 'D03CARA', 'D04GUEST'];
    const nowhere: { members: string[] } = { members: [] };
    const roots = new Map<string, string>();
    for (const channel of channels) {
      const { members } = slack.control.state().channels.find(({ id }) => id === channel) ?? nowhere;
      const user = members.find((id) => id !== stage.bot) ?? `U${channel.slice(1)}`;
      roots.set(channel, (await slack.control.message({ channel, user, text: `said in ${channel}` })).ts);
    }
    for (const requester of ['U01ALICE', 'U02BOB', 'U03CARA', 'U04GUEST', 'U05EXT', 'B0OTHER']) {
      for (const channel of channels) {
        const { members } = slack.control.state().channels.find(({ id }) => id === channel) ?? nowhere;
        const both = members.includes(requester) && members.includes(stage.bot);
        const ts = roots.get(channel) ?? '';
        const permalink = `https://sandbox.slack.com/archives/${channel}/p${ts.replace('.', '')}`;
        const more = { requester };
        const read = [
          await stage.use('slack_read_thread', { permalink }, more),
          await stage.use('slack_read_channel', { channel }, more),
        ];
        for (const { text } of read)
          expect([requester, text.includes(`said in ${channel}`)]).toEqual([requester, both]);
        const before = slack.control.messages(channel).length;
        await stage.use('slack_post_message', { channel, text: 'hi' }, more);
        expect([requester, channel, slack.control.messages(channel).length - before]).toEqual([
          ...[requester, channel],
          both ? 1 : 0,
        ]);
      }
    }
  });

  it('gives a file of another thread to no one', async () => {
    const stage = await toolStage({
      give: async (file) => ({ note: { file, how: 'text', bytes: 1, text: 'x' }, images: [], handed: [] }),
    });
    const { slack, root } = stage;
    const share = async (channel: string, thread_ts?: string) => {
      await slack.control.message({
        channel,
        user: 'U02BOB',
        text: 'f',
        files: [{ name: 'a.txt', content: 'x' }],
        thread_ts,
      });
      return String(slack.control.messages(channel, { thread_ts }).at(-1)?.files[0]?.id);
    };
    const here = await share('C01GEN', root);
    const others = [await share('C01GEN'), await share('C02ENG'), await share('D02BOB'), await share('C03OUT')];
    for (const file_id of others)
      expect([file_id, (await stage.use('slack_read_file', { file_id })).plan.may]).toEqual([file_id, 'no']);
    expect((await stage.use('slack_read_file', { file_id: here })).plan.may).toBe('run');
  });
});
