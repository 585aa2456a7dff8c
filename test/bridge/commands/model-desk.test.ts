import { describe, expect, it } from 'vitest';
import { Bindings } from '../../../src/bridge/access/bindings.ts';
import { settingsOf } from '../../../src/bridge/access/policy.ts';
import type { ModelEntry, ModelsSeen } from '../../../src/bridge/agent-event.ts';
import { ModelDesk, type ModelsAsked } from '../../../src/bridge/commands/model-desk.ts';
import type { Models } from '../../../src/bridge/ports.ts';
import { menuKey, modelKey } from '../../../src/bridge/view/model-dialog.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createRunning, mapChoices, silentLog, TEAM, THREAD } from '../../support/middle.ts';

const entry = (handle: string, effort: string | null = null): ModelEntry => ({
  id: `${handle}-${effort}`,
  handle,
  effort,
});
const ONE = entry('lab/one');
const TWO = [entry('lab/two', 'low'), entry('lab/two', 'high')];

/** A thread with an answer, and a Letta whose list of models a test may change. cara is an admin. */
async function desk() {
  const middle = await createRunning({ policy: { admins: { ids: ['U03CARA'], groups: [] } } });
  middle.connection.end();
  await middle.clock.settle();
  const letta = { entries: [ONE, ...TWO], failing: null as BridgeError | null, chosen: [] as string[] };
  const seen = (): ModelsSeen => {
    if (letta.failing) throw letta.failing;
    return { entries: letta.entries, current: { handle: 'lab/one', effort: null, contextWindow: 1_000 } };
  };
  const models: Models = {
    async choose(_, pick) {
      const picked = pick(seen());
      if (!picked) return null;
      letta.chosen.push(picked.id);
      return {
        model: { handle: picked.handle, effort: picked.effort, contextWindow: null },
        appliedTo: 'conversation',
      };
    },
    chooseToolset: async (_, toolset) => ({ chosen: toolset, current: toolset }),
    listFor: async () => seen(),
  };
  const { threads, workers, surface, clock } = middle;
  const bindings = new Bindings({ policies: { current: () => middle.policy }, choices: mapChoices(), log: silentLog });
  const made = new ModelDesk({
    models,
    threads,
    workers,
    policies: bindings,
    bindings,
    surface,
    clock,
    log: silentLog,
  });
  const asked: ModelsAsked = {
    about: { team: TEAM, channel: 'C01GEN', thread: THREAD },
    place: { channel: 'C01GEN', channelKind: 'channel', external: false },
    person: { id: 'U03CARA', team: TEAM, kind: 'member', name: 'cara' },
  };
  const choose = async (model: string, effort: string | null, scope: 'conversation' | 'channel' = 'conversation') => {
    const choice = { model: modelKey(model), effort: effort === null ? null : menuKey(effort), toolset: null, scope };
    const outcome = await made.choose(asked, choice);
    await clock.settle();
    return outcome;
  };
  const askInChannel = async (words: string, person = asked.person) => {
    const inChannel = { ...asked, person, about: { ...asked.about, thread: null } };
    const said = await made.command(inChannel, words);
    await clock.settle();
    return said || surface.whispered.at(-1)?.text;
  };
  const told = () => [...surface.said, ...surface.whispered].map(({ text }) => text).join('\n');
  const binding = () => settingsOf(bindings.current(), 'C01GEN').binding;
  return { middle, letta, asked, choose, askInChannel, told, binding, open: () => made.dialog(asked, null) };
}

describe('the dialog of models', () => {
  it('a model that vanished while it was open: nothing changes', async () => {
    for (const scope of ['conversation', 'channel'] as const) {
      const { letta, open, choose, told, binding } = await desk();
      expect((await open()).result).toBe('modal');
      letta.entries = [ONE];
      expect((await choose('lab/two', 'high', scope)).result).toBe('decided');
      expect(told()).toContain('Letta no longer lists that model');
      expect([letta.chosen, binding()]).toEqual([[], null]);
    }
  });

  it('a model that its list never had: is refused at its field', async () => {
    const { open, choose, letta } = await desk();
    await open();
    expect(await choose('lab/nope', null)).toMatchObject({ result: 'invalid', field: 'model' });
    expect(await choose('lab/two', null)).toMatchObject({ result: 'invalid', field: 'effort' });
    expect(letta.chosen).toEqual([]);
  });

  it('a conversation that is gone: the window says so', async () => {
    const { letta, open, choose, told } = await desk();
    letta.failing = new BridgeError('conversation_not_found', 'gone', { notice: 'Letta lost this conversation.' });
    expect(await open()).toMatchObject({ result: 'refused', notice: 'Letta lost this conversation.' });
    letta.failing = null;
    await open();
    letta.failing = new BridgeError('conversation_not_found', 'gone', { notice: 'Letta lost this conversation.' });
    expect((await choose('lab/two', 'high')).result).toBe('decided');
    expect(told()).toContain('Letta lost this conversation.');
  });

  it('Letta lists nothing, or does not know: says why', async () => {
    const { letta, open } = await desk();
    letta.entries = [];
    expect(await open()).toMatchObject({ result: 'refused', why: 'expired' });
    letta.failing = new BridgeError('letta_unreachable', 'null', { notice: 'Letta cannot tell now.', retry: true });
    expect(await open()).toMatchObject({ result: 'refused', notice: 'Letta cannot tell now.' });
  });

  it('an answer that is lost: the person is told to look', async () => {
    const { letta, open, choose, told } = await desk();
    await open();
    const notice = 'The link was lost.';
    letta.failing = new BridgeError('link_lost', 'lost', { notice, certain: false, retry: true });
    await choose('lab/two', 'high');
    expect(told()).toMatch(/The link was lost\. \S/);
  });

  it('the right lost while it was open: nothing changes', async () => {
    const { middle, letta, open, choose } = await desk();
    await open();
    middle.policy.admins = { ids: [], groups: [] };
    expect(await choose('lab/two', 'high')).toMatchObject({ result: 'refused', why: 'not_allowed' });
    expect(letta.chosen).toEqual([]);
  });
});

describe('/agent model in a channel', () => {
  it('lists the models for admins, and names itself: !model is unheard there', async () => {
    const { askInChannel } = await desk();
    const answers = [await askInChannel(''), await askInChannel('nope'), await askInChannel('lab/two')];
    expect(answers).toEqual([
      expect.stringContaining('- `lab/two` · low, high'),
      expect.stringContaining('`/agent model` lists all'),
      expect.stringContaining('With which effort? Write `/agent model`'),
    ]);
    expect(answers[0]).toContain('New conversations in this channel use');
    expect(answers.join()).not.toContain('!model');
  });

  it('says what is used when Letta cannot be asked, or to others', async () => {
    const { letta, asked, askInChannel } = await desk();
    const used = 'New conversations in this channel use the agent’s own model.';
    expect(await askInChannel('', { ...asked.person, id: 'U01ALICE' })).toBe(used);
    letta.failing = new BridgeError('letta_unreachable', 'null', { notice: 'Letta cannot tell now.', retry: true });
    expect(await askInChannel('')).toBe(`${used}\nLetta cannot tell now.`);
  });
});
