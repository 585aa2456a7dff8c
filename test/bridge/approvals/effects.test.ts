import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectsOf, hasChanged, isHarmless, mayChange } from '../../../src/bridge/approvals/effects.ts';
import type { ApprovalRecord } from '../../../src/bridge/record/thread-record.ts';
import type { ToolCall } from '../../../src/bridge/turn/steps.ts';
import { effectsText } from '../../../src/bridge/words/effects.ts';
import { bash } from '../thread/approvals/asking-people.ts';

const call = (
  tool: string,
  status: ToolCall['status'],
  input: Record<string, unknown> = {},
  callId = 'c1',
): ToolCall => ({
  ...{ callId, runId: 'run-1', tool, input, status, output: '' },
});
const said = (tools: ToolCall[], isAllHeard = true) => effectsText(effectsOf({ tools, approvals: [] }, [], isAllHeard));

describe('the changes of a turn', () => {
  it.each([
    ['no tool', [], 'Nothing was changed.'],
    [
      'only reads',
      [call('Read', 'ok', { file_path: '/etc/hosts' }), call('Bash', 'ok', { command: 'ls -la' })],
      'Nothing was changed.',
    ],
    ['its own list', [call('TodoWrite', 'ok', { todos: [] })], 'Nothing was changed.'],
    ['a question', [call('AskUserQuestion', 'ok', { questions: [] })], 'Nothing was changed.'],
    ['one command', [call('Bash', 'failed', { command: 'make' })], '1 command had run.'],
    ['two commands', [call('Bash', 'ok', { command: 'make' }), call('shell', 'running')], '2 commands had run.'],
    [
      'a command and a file',
      [call('Bash', 'ok', { command: 'make' }), call('Edit', 'ok')],
      'Already done: 1 command, 1 file change.',
    ],
    ['a failed edit and a subagent', [call('Edit', 'failed'), call('Task', 'running')], 'Already done: 2 steps.'],
    [
      'a call not known to have begun',
      [call('Bash', 'called', { command: 'make' })],
      'I can’t tell whether anything was changed.',
    ],
    ['an unknown tool', [call('deploy', 'ok')], 'Already done: 1 step.'],
  ])('%s: %s', (_name, tools, sentence) => {
    expect(said(tools)).toBe(sentence);
  });

  it('not all was heard: nothing is claimed', () => {
    expect(said([], false)).toBe('I can’t tell whether anything was changed.');
    expect(said([call('Bash', 'ok', { command: 'make' })], false)).toBe('1 command had run, maybe more.');
  });

  it('a call that people refused, or have not decided: has not run', () => {
    const request = { ...bash('make'), callId: 'c1' };
    const turn = { tools: [call('Bash', 'failed', { command: 'make' })], approvals: [request] };
    const record = (state: ApprovalRecord['state']) => [{ requestId: request.requestId, state }];
    const denied = { state: 'decided', decision: 'denied', by: 'U1', at: 1, words: null } as const;
    expect(isHarmless(effectsOf(turn, record(denied), true))).toBe(true);
    expect(isHarmless(effectsOf(turn, record({ state: 'open' }), true))).toBe(true);
    expect(isHarmless(effectsOf(turn, record({ ...denied, decision: 'approved' }), true))).toBe(false);
    expect(isHarmless(effectsOf(turn, record({ state: 'closed', why: 'answered_elsewhere', at: 1 }), true))).toBe(
      false,
    );
    expect(isHarmless(effectsOf(turn, [], true))).toBe(false);
  });

  it('property: harmless only without a call that may change something', () => {
    const status = fc.constantFrom<ToolCall['status']>('called', 'running', 'ok', 'failed');
    const tool = fc.constantFrom('Read', 'Bash', 'Write', 'Grep', 'deploy', 'TodoWrite', 'toString');
    const input = fc.dictionary(fc.constantFrom('command', 'file_path', 'todos', 'path', 'pattern'), fc.string());
    const calls = fc.array(fc.record({ tool, status, input }), { maxLength: 6 });
    fc.assert(
      fc.property(calls, fc.boolean(), (some, isAllHeard) => {
        const tools = some.map((each, at) => call(each.tool, each.status, each.input, `c${at}`));
        const effects = effectsOf({ tools, approvals: [] }, [], isAllHeard);
        expect(isHarmless(effects)).toBe(isAllHeard && !tools.some(mayChange));
        expect(effectsText(effects).includes('Nothing was changed')).toBe(isHarmless(effects));
        expect(hasChanged({ tools })).toBe(tools.some((each) => each.status !== 'called' && mayChange(each)));
      }),
    );
  });
});
