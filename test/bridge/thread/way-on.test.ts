import { describe, expect, it } from 'vitest';
import { makeToken } from '../../../src/bridge/ids.ts';
import type { OfferAction } from '../../../src/bridge/inbound.ts';
import type { DetailsStore } from '../../../src/bridge/ports.ts';
import type { TurnDetails } from '../../../src/bridge/turn/steps.ts';
import type { OfferView } from '../../../src/bridge/view/offer.ts';
import { createRunning, type Middle, ROOT, TEAM } from '../../support/middle.ts';

const ERROR = '500: {"message":"boom","type":"scripted_error"}';

/** A turn in which the agent ran these commands, and whose model then fails. */
async function failed(commands: string[] = [], options: Parameters<typeof createRunning>[0] = {}): Promise<Middle> {
  const middle = await createRunning(options);
  for (const [n, command] of commands.entries()) {
    const call = { callId: `call-${n}`, tool: 'Bash', input: { command } };
    middle.connection.emit({ type: 'tool-called', runId: 'run-1', ...call });
    middle.connection.emit({ type: 'tool-started', ...call });
    middle.connection.emit({ type: 'tool-ended', callId: call.callId, ok: true });
  }
  await fail(middle);
  return middle;
}

async function fail(middle: Middle, error = ERROR, stopReason = 'error'): Promise<void> {
  middle.connection.emit({ type: 'error', message: error, terminal: false });
  middle.connection.end(stopReason, 'run-1', error);
  await middle.clock.settle();
}

const shown = (middle: Middle) => middle.surface.offers.map(({ view }) => view);
const line = (middle: Middle) => middle.surface.last.ending?.line;

async function click(middle: Middle, name: OfferAction, view: OfferView | undefined, user = 'U01ALICE') {
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '3000.000001', threadTs: ROOT };
  const token = view?.token ?? makeToken('none');
  const outcome = await middle.intake.handleAction({
    name,
    token,
    choice: null,
    actor: { user, team: TEAM },
    ...where,
  });
  await middle.clock.settle();
  return outcome;
}

describe('a turn whose model failed', () => {
  it('nothing was changed: its last message offers to try again', async () => {
    const middle = await failed(['ls -la']);
    expect(line(middle)).toBe('The model’s provider returned an error (500). Nothing was changed.');
    expect(middle.surface.last.offer?.buttons).toEqual(['send_again']);
    expect(shown(middle)).toHaveLength(1);
    expect(await click(middle, 'send_again', shown(middle)[0], 'U02BOB')).toMatchObject({ why: 'not_allowed' });
    expect(await click(middle, 'send_again', shown(middle)[0])).toEqual({ result: 'decided' });
    const [first, second] = middle.connection.submitted;
    expect(second?.content).toContain('list the files');
    expect(second?.clientMessageId).toBe(`${first?.clientMessageId}-again1`);
    expect(shown(middle).at(-1)).toMatchObject({ buttons: [], text: '<@U01ALICE> tried again.' });
    expect(middle.surface.offers.at(-1)?.message).toBeDefined();
    expect(middle.record().offers[0]).toMatchObject({
      display: 'shown',
      items: [],
      tail: { turn: expect.any(String) },
    });
    expect(middle.record().offers[0]?.tail?.message).toBeUndefined();
  });

  it('commands had run: the agent may only go on from there', async () => {
    const middle = await failed(['make', 'make install']);
    expect(line(middle)).toBe('The model’s provider returned an error (500). 2 commands had run.');
    expect(middle.surface.last.offer?.buttons).toEqual(['continue']);
    expect(await click(middle, 'send_again', shown(middle)[0])).toMatchObject({ why: 'expired' });
    expect(await click(middle, 'continue', shown(middle)[0])).toEqual({ result: 'decided' });
    expect(middle.connection.submitted.at(-1)?.content).not.toContain('list the files');
  });

  it('link lost in between: nothing is claimed', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    const runs = { activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': [id] } };
    middle.connection.ready({ reconnected: true, loop: 'busy', ...runs });
    await middle.clock.settle();
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    await fail(middle);
    await middle.clock.advance(60_000);
    expect(line(middle)).toContain('I can’t tell whether anything was changed.');
    expect(middle.surface.last.offer?.buttons).toEqual(['continue']);
  });

  it('context full: offers a new conversation with the message', async () => {
    const middle = await createRunning();
    await fail(middle, '400: prompt is too long: 210000 tokens > 200000 maximum');
    expect(line(middle)).toContain('no longer fits into the model’s memory');
    expect(await click(middle, 'start_new', shown(middle)[0])).toEqual({ result: 'decided' });
    expect(middle.connection.options.runtime).toBeNull();
  });

  it('stopped by a person: says what was changed, offers nothing', async () => {
    const middle = await createRunning();
    await middle.write('stop');
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.surface.last.ending).toMatchObject({
      outcome: 'stopped',
      by: 'U01ALICE',
      line: 'Nothing was changed.',
    });
    expect(shown(middle)).toEqual([]);
  });

  it('a message waits already: offers nothing, because the conversation goes on', async () => {
    const middle = await createRunning();
    await middle.write('and another');
    await fail(middle);
    expect(shown(middle)).toEqual([]);
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('the next message comes instead of a click: the offer lapses', async () => {
    const middle = await failed();
    await middle.write('never mind, list the folders');
    expect(shown(middle).at(-1)).toMatchObject({ buttons: [], text: 'The conversation has continued.' });
    expect(await click(middle, 'send_again', shown(middle)[0])).toMatchObject({ why: 'expired' });
  });

  it('Details have the error’s own words, and the line has none', async () => {
    const stored: TurnDetails[] = [];
    const details: DetailsStore = {
      put: async (_, what) => void stored.push(what),
      get: () => Promise.resolve(null),
      drop: () => Promise.resolve(),
    };
    const middle = await failed([], { details });
    expect(stored[0]?.steps).toEqual([{ kind: 'error', text: expect.stringContaining('"type":"scripted_error"') }]);
    expect(line(middle)).not.toMatch(/[{}]|turn-/);
  });
});

describe('the offer at the end of a turn', () => {
  it('is on disk before its last message is posted', async () => {
    const middle = await createRunning();
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    await fail(middle);
    const { turn, offers } = middle.record();
    expect(offers).toMatchObject([
      { kind: 'send_again', items: [], tail: { turn: turn?.id }, state: { state: 'open' } },
    ]);
    // Slack shows it, and somebody clicks before the bridge has heard so.
    expect(await click(middle, 'send_again', middle.surface.last.offer)).toEqual({ result: 'decided' });
    expect(await click(middle, 'send_again', middle.surface.last.offer)).toMatchObject({ why: 'already_decided' });
    expect(middle.connection.submitted).toHaveLength(1);
    middle.surface.gate = null;
    gate.resolve();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
    expect(shown(middle).at(-1)).toMatchObject({ buttons: [], text: '<@U01ALICE> tried again.' });
  });

  it('restart before Slack has it: is offered once', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.surface.gate = new Promise(() => undefined);
    await fail(middle);
    const token = middle.record().offers[0]?.token;
    await middle.restart();
    middle.surface.gate = null;
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    middle.connection.ready();
    await middle.clock.advance(60_000);
    expect(middle.record().turn).toBeNull();
    expect(middle.record().offers.map((offer) => offer.token)).toEqual([token]);
    expect(middle.record().offers[0]).toMatchObject({ items: [expect.anything()], display: 'shown' });
    await middle.restart();
    expect(await click(middle, 'send_again', shown(middle)[0])).toEqual({ result: 'decided' });
  });

  it('message shown without buttons: gets one of its own', async () => {
    const middle = await createRunning();
    middle.surface.hidesTails = true;
    await fail(middle);
    expect(shown(middle).at(-1)).toMatchObject({
      buttons: ['send_again'],
      text: expect.stringContaining('the turn with this message failed'),
    });
    expect(middle.surface.offers.at(-1)?.message).toBeUndefined();
    expect(await click(middle, 'send_again', shown(middle).at(-1))).toEqual({ result: 'decided' });
  });

  it('end never shown: is dropped', async () => {
    const middle = await createRunning();
    middle.surface.delivery = { delivered: false, reason: 'is_archived' };
    await fail(middle);
    expect(middle.record()).toMatchObject({ turn: null, offers: [] });
  });
});
