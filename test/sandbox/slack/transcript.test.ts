import { describe, expect, test } from 'vitest';
import { transcript } from '../../../sandbox/slack/transcript.ts';
import { call, slackFor } from './support.ts';

describe('the transcript of a thread', () => {
  test('shows it as a person sees it in Slack', async () => {
    const slack = await slackFor();
    const { ts } = await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent is 1 < 2?' });
    const place = { channel: 'C01GEN', thread_ts: ts };
    await call(slack, 'chat.postMessage', {
      ...place,
      text: 'Answer',
      blocks: [
        { type: 'markdown', text: '**Yes.**\n\n- it is &lt; 2' },
        { type: 'context', elements: [{ type: 'mrkdwn', text: 'done in 2 s' }] },
      ],
    });
    const button = (text: string) => ({ type: 'button', text: { type: 'plain_text', text } });
    await call(slack, 'chat.postMessage', {
      ...place,
      text: 'Approve?',
      blocks: [
        { type: 'section', text: { type: 'mrkdwn', text: '<@U01ALICE> may I run `ls`?', verbatim: true } },
        { type: 'actions', elements: [button('Approve'), button('Deny')] },
      ],
    });
    const plain = await call(slack, 'chat.postMessage', { ...place, text: 'one' });
    await call(slack, 'chat.update', { channel: 'C01GEN', ts: plain.body.ts, text: 'two' });
    await call(slack, 'chat.postEphemeral', { ...place, user: 'U02BOB', text: 'not you' });
    await slack.control.message({ channel: 'C01GEN', user: 'U02BOB', text: 'another thread' });

    expect(transcript(slack, 'C01GEN', { thread: ts })).toBe(
      [
        'Alice Moreau',
        '  @agent is 1 < 2?',
        '',
        '  Agent',
        '    **Yes.**',
        '',
        '    - it is < 2',
        '    · done in 2 s',
        '',
        '  Agent',
        '    @alice may I run `ls`?',
        '    [Approve] [Deny]',
        '',
        '  Agent',
        '    two (edited)',
      ].join('\n'),
    );
    const bobs = transcript(slack, 'C01GEN', { user: 'U02BOB' });
    expect(bobs).toContain('  Agent (only visible to bob)\n    not you');
    expect(bobs.endsWith('Bob Okafor\n  another thread')).toBe(true);
  });
});
