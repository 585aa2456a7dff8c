import { describe, expect, it } from 'vitest';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';
import { startWhole } from '../support/whole.ts';

const CHANNEL = 'C01GEN';

describe('a tool call with a deep input', () => {
  it('3,300 levels: gets a card, and its turn goes on', async (context) => {
    const whole = await startWhole(context);
    const { control } = whole.slack;
    const input = `{"a":${'['.repeat(3_300)}"bottom"${']'.repeat(3_300)}}`;
    const { ts } = await control.message({ channel: CHANNEL, user: 'U01ALICE', text: `@agent call Deep ${input}` });
    const shown = () => transcript(whole.slack, CHANNEL, { thread: ts, bot: true });
    await until(() => shown().includes('[Review and approve]'), shown);
    const card = control.messages(CHANNEL, { thread_ts: ts, user: 'U01ALICE' }).findLast((message) => {
      return JSON.stringify(message.blocks).includes('Review and approve');
    });
    await control.interact({
      channel: CHANNEL,
      messageTs: card?.ts ?? '',
      user: 'U01ALICE',
      action: 'Review and approve',
    });
    await until(
      () => JSON.stringify(control.views('U01ALICE').modals).includes('bottom'),
      () => JSON.stringify(control.views('U01ALICE')).slice(0, 2_000),
    );
    expect(await control.viewSubmit({ user: 'U01ALICE', values: {} })).toMatchObject({ closed: true });
    await until(() => /Approved ·[\s\S]*Done/.test(shown()), shown);
  });
});
