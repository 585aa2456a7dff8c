import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/bridge/agent-event.ts';
import { makeTurnId } from '../../../src/bridge/ids.ts';
import { detailsOf } from '../../../src/bridge/turn/details.ts';
import { emptyTurn, foldTurn, type TurnState, turnText } from '../../../src/bridge/turn/fold.ts';
import { PLAN_TOOL, withoutMiddle } from '../../../src/bridge/turn/steps.ts';
import { turnView } from '../../../src/bridge/view/turn.ts';
import { openTurn } from '../../support/records.ts';

const called = (callId: string, tool: string, input: Record<string, unknown> = {}): AgentEvent => ({
  type: 'tool-called',
  runId: 'r',
  callId,
  tool,
  input,
});
const ended = (callId: string): AgentEvent => ({ type: 'tool-returned', callId, ok: true, output: 'fine' });
const thought = (messageId: string, text: string): AgentEvent => ({ type: 'reasoning', runId: 'r', messageId, text });
const said = (messageId: string, text: string): AgentEvent => ({ type: 'text', runId: 'r', messageId, text });
const folded = (events: AgentEvent[], from: TurnState = emptyTurn) => events.reduce(foldTurn, from);
const view = (state: TurnState, verbosity?: 'quiet' | 'compact' | 'verbose') =>
  turnView(state, {
    address: { team: 'T01', channel: 'C01', threadTs: '1.000001' },
    turn: openTurn(1, { state: 'submitted' }),
    approvals: [],
    where: { workingDirectory: null, device: null },
    now: 0,
    queued: 0,
    hold: null,
    ending: null,
    verbosity,
  });
const activity = (state: TurnState, verbosity?: 'quiet' | 'verbose') => view(state, verbosity).live?.activity;

describe('the activity line', () => {
  it('names the tool and its first short argument', () => {
    const state = folded([called('1', 'Bash', { command: 'npm  test\n--watch', timeout: 5 })]);
    expect(activity(state)).toEqual({ kind: 'tool', tool: 'Bash', detail: 'npm test --watch' });
  });

  it('counts reading tools in a row, and restarts after another tool', () => {
    const read = (n: number) => [called(`${n}`, 'Read', { file_path: `${n}.ts` }), ended(`${n}`)];
    const looking = folded([...read(1), ...read(2), called('3', 'Grep', { pattern: 'x' })]);
    expect(activity(looking)).toEqual({ kind: 'looking', steps: 3, detail: 'x' });
    const again = folded([ended('3'), called('4', 'Bash'), ended('4'), called('5', 'Read')], looking);
    expect(activity(again)).toEqual({ kind: 'tool', tool: 'Read', detail: '' });
  });

  it('never shows any part of a secret', () => {
    const secret = `ghp_${'a1'.repeat(20)}`;
    const state = folded([called('1', 'Bash', { command: `${'x'.repeat(110)} ${secret}` })]);
    expect(JSON.stringify(activity(state))).not.toContain('a1');
  });
});

describe('the plan that the agent asks consent to', () => {
  const plan = Array.from({ length: 700 }, (_, n) => `- step ${n} of it`).join('\n');
  const detailsFor = (tool: string, input: Record<string, unknown>) =>
    detailsOf(folded([called('1', tool, input), ended('1')]), makeTurnId('t'), 0)?.steps[0];

  it('is whole in Details, unlike other inputs', () => {
    expect(detailsFor(PLAN_TOOL, { plan })).toMatchObject({ input: expect.stringMatching(/step 0 .*step 699 /s) });
    expect(JSON.stringify(detailsFor(PLAN_TOOL, { plan }))).not.toContain('characters left out');
    expect(JSON.stringify(detailsFor('Write', { content: plan }))).toContain('characters left out');
    expect(JSON.stringify(detailsFor(PLAN_TOOL, { plan: plan.repeat(2) }))).toContain('characters left out');
  });
});

describe('verbosity', () => {
  const state = folded([said('m', 'Let me look.'), called('1', 'Bash', { command: 'ls' }), said('n', ' Done.')]);

  it("never changes the agent's text", () => {
    for (const verbosity of ['quiet', 'compact', 'verbose'] as const) {
      expect(view(state, verbosity).items).toEqual([{ kind: 'text', markdown: 'Let me look.\n\n Done.' }]);
    }
  });

  it('quiet: shows no tools; verbose: shows the last ones line by line', () => {
    const working = folded([called('2', 'Bash', { command: 'pwd' })], state);
    expect(activity(working, 'quiet')).toEqual({ kind: 'thinking' });
    expect(view(working, 'quiet').tools).toBeUndefined();
    expect(view(working).tools).toBeUndefined();
    expect(view(folded([ended('1')], working), 'verbose').tools).toEqual({
      earlier: 0,
      lines: [
        { tool: 'Bash', detail: 'ls', status: 'ok' },
        { tool: 'Bash', detail: 'pwd', status: 'called' },
      ],
    });
    const many = folded(Array.from({ length: 30 }, (_, n) => called(`${n}`, 'Bash')));
    expect(view(many, 'verbose').tools).toMatchObject({ earlier: 18, lines: { length: 12 } });
  });
});

describe('the kept tools and thoughts of a turn', () => {
  it('are bounded for any number and length of calls', () => {
    const long = 'word '.repeat(40_000);
    let state: TurnState = { ...emptyTurn, thoughts: [] };
    for (let n = 0; n < 1_000; n += 1) {
      const id = `${n}`;
      state = folded([called(id, 'Write', { content: long, nested: { deep: [long] } }), thought(id, long)], state);
      state = folded([{ type: 'tool-output', callId: id, output: long }, ended(id)], state);
      state = folded([{ type: 'tool-output', callId: id, output: long }], state);
    }
    expect(state.tools).toHaveLength(1_000);
    expect(state.tools[999]?.output).toContain('characters left out');
    expect(state.tools[0]).toMatchObject({ tool: 'Write', status: 'ok', input: {}, output: '' });
    expect(JSON.stringify(state).length).toBeLessThan(4_000_000);
  });

  it('lack thoughts unless the settings ask for them', () => {
    expect(folded([thought('a', 'hm')]).thoughts).toBeNull();
  });

  it('join pieces of a thought, and drop those of a retried run', () => {
    const state = folded(
      [thought('a', 'I sh'), thought('a', 'ould.'), called('1', 'Bash'), thought('b', 'Then.'), said('c', 'Hi')],
      { ...emptyTurn, thoughts: [] },
    );
    expect(state.thoughts?.map(({ text, after }) => [text, after])).toEqual([
      ['I should.', 0],
      ['Then.', 1],
    ]);
    expect(turnText(state)).toBe('Hi');
    const retrying = { type: 'retrying', runId: 'r', attempt: 1, maxAttempts: 2, delayMs: 1, reason: '' } as const;
    expect(folded([retrying], state).thoughts).toEqual([]);
  });

  it('are cut in the middle, at word ends, with the missing length', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z \n]{0,400}$/), fc.integer({ min: 40, max: 300 }), (text, max) => {
        const cut = withoutMiddle(text, max);
        if (text.length <= max) {
          expect(cut).toBe(text);
          return;
        }
        const [, head = '', missing, tail = ''] = /^(.*)\n… (\d+) characters left out …\n(.*)$/s.exec(cut) ?? [];
        expect(text.startsWith(head)).toBe(true);
        expect(text.endsWith(tail)).toBe(true);
        expect(head.length + Number(missing) + tail.length).toBe(text.length);
        expect(head.length + tail.length).toBeLessThanOrEqual(max);
      }),
    );
    const secret = `ghp_${'a1'.repeat(20)}`;
    for (let before = 0; before < 60; before += 1) {
      const cut = withoutMiddle(`${'x '.repeat(before)}${secret}${' y'.repeat(200)}`, 120);
      expect(cut.replace(secret, '')).not.toContain('a1');
    }
  });
});
