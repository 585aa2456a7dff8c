import { describe, expect, it } from 'vitest';
import { makeMessageKey, makeThreadKey } from '../../../src/bridge/ids.ts';
import type { InboundAsk, InboundMessage, InboundQuestion } from '../../../src/bridge/inbound.ts';
import { BOT, createMiddle, type Middle, people, TEAM } from '../../support/middle.ts';

const ABOUT_TS = '900.000001';
const THREAD = makeThreadKey({ team: TEAM, channel: 'C01GEN', root: ABOUT_TS });

function about(change: Partial<InboundMessage> = {}): InboundMessage {
  return {
    key: makeMessageKey({ team: TEAM, channel: 'C01GEN', ts: ABOUT_TS }),
    team: TEAM,
    channel: 'C01GEN',
    channelKind: 'channel',
    ts: ABOUT_TS,
    threadTs: null,
    user: 'U02BOB',
    userTeam: TEAM,
    external: null,
    spans: [{ kind: 'text', text: 'deploy failed with E42' }],
    files: [],
    mentionsBot: false,
    ...change,
  };
}

const ask = (change: Partial<InboundAsk> = {}): InboundAsk => ({
  team: TEAM,
  channel: 'C01GEN',
  channelKind: 'channel',
  ts: ABOUT_TS,
  threadTs: null,
  message: about(),
  actor: { user: 'U01ALICE', team: TEAM },
  ...change,
});

async function question(middle: Middle, asked = ask(), text = 'why?'): Promise<InboundQuestion> {
  const opened = await middle.intake.handleAsk(asked);
  if (opened.result !== 'modal' || opened.modal.kind !== 'ask') throw new Error(JSON.stringify(opened));
  const { message: _, ...place } = asked;
  return { ...place, askedTs: opened.modal.askedTs, text };
}

describe('a question about a message', () => {
  it('begins a turn of its author, with the message as untrusted context', async () => {
    const middle = createMiddle();
    expect(await middle.intake.handleQuestion(await question(middle))).toEqual({ result: 'decided' });
    middle.connection.ready();
    await middle.clock.settle();
    const { turn, starter } = middle.record(THREAD);
    expect([turn?.requester, starter]).toEqual(['U01ALICE', 'U01ALICE']);
    const [{ content } = { content: '' }] = middle.connection.submitted;
    expect(content).toMatch(/U02BOB.*not trusted[^\n]*\ndeploy failed with E42/);
    expect(content).toMatch(/U01ALICE.*trusted[^\n]*\nwhy\?\n\(About message 900\.000001\.\)/);
  });

  it('shows the message in its dialog, with the names of people', async () => {
    const middle = createMiddle();
    const spans = [
      { kind: 'user', id: BOT },
      { kind: 'text', text: ' tell ' },
      { kind: 'user', id: 'U02BOB' },
      { kind: 'text', text: ' why' },
    ] as const;
    const opened = await middle.intake.handleAsk(ask({ message: about({ spans: [...spans] }) }));
    const { name } = await people.getPerson('U02BOB', TEAM);
    expect(opened).toMatchObject({ modal: { about: `tell @${name} why` } });
  });

  it('is said in the thread, without what people wrote pinging anyone', async () => {
    const middle = createMiddle();
    await middle.intake.handleQuestion(await question(middle, ask(), 'why <!here>?\nreally'));
    const [said] = middle.surface.said;
    expect(said?.address).toEqual({ team: TEAM, channel: 'C01GEN', threadTs: ABOUT_TS });
    expect(said?.text).toContain('<@U01ALICE> asked about this message: why ‹!here>? really');
  });

  it('in a thread that runs: waits for its turn there', async () => {
    const middle = createMiddle();
    await middle.intake.handleQuestion(await question(middle));
    middle.connection.ready();
    await middle.clock.settle();
    const reply = ask({
      ts: '900.000005',
      threadTs: ABOUT_TS,
      message: about({ ts: '900.000005', threadTs: ABOUT_TS }),
    });
    expect(await middle.intake.handleQuestion(await question(middle, reply, 'and this?'))).toEqual({
      result: 'decided',
    });
    expect(middle.record(THREAD).inbox).toHaveLength(1);
  });

  it('delivered twice: begins one turn, and is said once', async () => {
    const middle = createMiddle();
    const asked = await question(middle);
    await middle.intake.handleQuestion(asked);
    expect(await middle.intake.handleQuestion(asked)).toEqual({ result: 'decided' });
    expect(middle.surface.said).toHaveLength(1);
    expect(middle.record(THREAD).inbox.length + (middle.record(THREAD).turn?.items.length ?? 0)).toBe(1);
  });

  it('from a dialog that was open for hours: runs all the same', async () => {
    const middle = createMiddle({ staleAfterMs: 60_000 });
    const asked = await question(middle);
    await middle.clock.advance(6 * 60 * 60_000);
    await middle.intake.handleQuestion(asked);
    await middle.clock.settle();
    expect(middle.record(THREAD).turn?.items).toHaveLength(1);
  });

  it('in a channel without the bot: stores nothing, says so', async () => {
    const middle = createMiddle();
    const asked = await question(middle);
    middle.surface.say = async () => ({ delivered: false, reason: 'not_in_channel' });
    expect(await middle.intake.handleQuestion(asked)).toMatchObject({ result: 'refused', why: 'unreachable' });
    expect(middle.threads.records.size).toBe(0);
  });

  it('from a guest: gets no dialog, and is refused', async () => {
    const middle = createMiddle();
    const actor = { user: 'U04GUEST', team: TEAM };
    expect(await middle.intake.handleAsk(ask({ actor }))).toMatchObject({ result: 'refused', why: 'not_allowed' });
    const asked = { ...(await question(middle)), actor };
    expect(await middle.intake.handleQuestion(asked)).toMatchObject({ result: 'refused', why: 'not_allowed' });
    expect(middle.surface.said).toEqual([]);
  });

  it('while the agent is paused: is refused', async () => {
    const middle = createMiddle({ policy: { admins: { ids: ['U03CARA'], groups: [] } } });
    const asked = await question(middle);
    const admin = {
      actor: { user: 'U03CARA', team: TEAM },
      team: TEAM,
      channel: 'C01GEN',
      channelKind: 'channel' as const,
    };
    await middle.intake.handleCommand({ ...admin, text: 'pause' });
    expect(await middle.intake.handleQuestion(asked)).toMatchObject({ result: 'refused', why: 'paused' });
    expect(middle.surface.said).toEqual([]);
  });
});
