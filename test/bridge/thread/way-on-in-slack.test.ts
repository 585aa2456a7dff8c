import { describe, expect, it } from 'vitest';
import { makeToken } from '../../../src/bridge/ids.ts';
import { type Middle, ROOT, TEAM } from '../../support/middle.ts';
import { createShown, type Shown } from '../../support/shown.ts';

/** A turn that said something and whose model then failed. */
async function failed(said = 'I begin.'): Promise<Shown> {
  const shown = createShown();
  const { middle } = shown;
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  if (said !== '') middle.connection.say(said);
  await middle.clock.advance(5_000);
  middle.connection.end('error', 'run-1', '500: {"message":"boom"}');
  await middle.clock.advance(10_000);
  return shown;
}

const lastOf = (shown: Shown) => shown.messages().at(-1);

async function tryAgain(shown: Shown): Promise<unknown> {
  const token = shown.middle.record().offers[0]?.token ?? makeToken('none');
  const at = { team: TEAM, channel: 'C01GEN', messageTs: lastOf(shown)?.ts ?? '3000.000001', threadTs: ROOT };
  const actor = { user: 'U01ALICE', team: TEAM };
  const outcome = await shown.middle.intake.handleAction({ name: 'send_again', token, choice: null, actor, ...at });
  await shown.middle.clock.advance(5_000);
  return outcome;
}

describe('the offer at the end of a failed turn, in Slack', () => {
  it('is the tail of the answer: no further message, no ping', async () => {
    const shown = await failed();
    expect(shown.messages()).toHaveLength(1);
    expect(shown.read(lastOf(shown))).toBe(
      'I begin. ⚠️ The model’s provider returned an error (500). Nothing was changed. Try again',
    );
    expect(JSON.stringify(lastOf(shown))).not.toContain('<@');
  });

  it('decided: the answer stays as it is, without the button', async () => {
    for (const restarts of [false, true]) {
      const shown = await failed();
      if (restarts) {
        await shown.middle.restart();
        await shown.middle.clock.advance(5_000);
      }
      const ts = lastOf(shown)?.ts;
      expect(await tryAgain(shown)).toEqual({ result: 'decided' });
      const message = shown.messages().find((each) => each.ts === ts);
      expect(shown.read(message)).toBe(
        'I begin. ⚠️ The model’s provider returned an error (500). Nothing was changed. <@U01ALICE> tried again.',
      );
      expect(shown.slack.calls.filter(({ method }) => method === 'chat.delete')).toEqual([]);
    }
  });

  it('message deleted meanwhile: is not posted again', async () => {
    const shown = await failed();
    const ts = lastOf(shown)?.ts ?? '';
    shown.slack.deleteMessage('C01GEN', ts);
    expect(await tryAgain(shown)).toEqual({ result: 'decided' });
    expect(
      shown
        .messages()
        .map((message) => shown.read(message))
        .join(),
    ).not.toContain('I begin.');
    expect(shown.middle.record().offers).toMatchObject([{ display: 'shown', state: { choice: 'sent' } }]);
  });

  it('answer of several messages: only the last one changes', async () => {
    const shown = await failed(Array.from({ length: 4_000 }, (_, n) => `word${n}`).join(' '));
    const before = shown.messages().map((message) => shown.read(message));
    expect(before.length).toBeGreaterThan(1);
    await tryAgain(shown);
    const after = shown.messages().map((message) => shown.read(message));
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    expect(after[before.length - 1]).toContain('tried again.');
  });
});

/** Until the returned function is called, the disk takes no record that knows the message of an offer. */
function fillDisk({ threads }: Middle): () => void {
  const update = threads.update.bind(threads);
  let isFull = true;
  threads.update = (key, change) =>
    update(key, (record) => {
      const next = change(record);
      if (isFull && next?.offers.some(({ posts }) => posts.length > 0)) throw new Error('disk full');
      return next;
    });
  return () => {
    isFull = false;
  };
}

describe('an offer in a message of its own', () => {
  it('disk full for long behind its post: is changed all the same', async () => {
    const shown = createShown({ staleAfterMs: 900_000 });
    const { middle, slack } = shown;
    const root = `${Math.floor(middle.clock.now() / 1000) - 3_600}.000100`;
    const empty = fillDisk(middle);
    await middle.write('deploy it', { ts: root, thread: null, mention: true, caughtUp: true });
    await middle.clock.advance(30_000);
    const there = () => slack.messages('C01GEN', root).filter((message) => shown.read(message).includes('deploy it'));
    expect(there()).toHaveLength(1);
    empty();
    await middle.clock.advance(30_000);
    const [offered] = there();
    const button = /"value":"(\w+)"/.exec(JSON.stringify(offered?.blocks));
    await middle.intake.handleAction({
      name: 'drop',
      token: makeToken(button?.[1] ?? 'none'),
      choice: null,
      actor: { user: 'U01ALICE', team: TEAM },
      team: TEAM,
      channel: 'C01GEN',
      messageTs: offered?.ts ?? '',
      threadTs: root,
    });
    await middle.clock.advance(30_000);
    expect(JSON.stringify(slack.messages('C01GEN', root))).not.toMatch(/bridge_(?:drop|run_now)/);
    expect(slack.calls.filter(({ method }) => method === 'chat.postMessage')).toHaveLength(1);
  });
});
