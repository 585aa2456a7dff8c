import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { judgeGuarded } from '../../../../src/bridge/approvals/auto-approval/guarded.ts';
import { GUARDED_TOOLS, guardedToolsTable } from '../../../../src/bridge/approvals/auto-approval/guarded-tools.ts';
import { createRunning } from '../../../support/middle.ts';
import { ask, bash, cards } from '../../thread/approvals/asking-people.ts';

const asks = (tool: string, input: Record<string, unknown>, folder: string | null = '/project') =>
  judgeGuarded({ tool, input }, folder).asks;

const OWN: [string, Record<string, unknown>][] = [
  ['TodoWrite', { todos: [{ content: 'rm -rf /', status: 'pending', activeForm: 'doing' }] }],
  ['TaskCreate', { subject: 'a', description: 'read /etc/passwd', activeForm: 'b', metadata: { path: '.env' } }],
  ['TaskGet', { taskId: 'task_1' }],
  ['TaskList', {}],
  ['TaskUpdate', { taskId: 'task_1', status: 'deleted', addBlocks: ['task_2'] }],
  ['UpdatePlan', { explanation: 'because', plan: [{ step: 'a', status: 'pending' }] }],
];

describe('the table of guarded tools', () => {
  it('is the one in docs/guarded-tools.md', () => {
    expect(readFileSync('docs/guarded-tools.md', 'utf8')).toContain(`\n${guardedToolsTable()}\n`);
  });

  it('has each tool once, with a reason', () => {
    const names = GUARDED_TOOLS.map(({ tool }) => tool);
    expect(new Set(names).size).toBe(names.length);
    for (const { why } of GUARDED_TOOLS) expect(why).toMatch(/\w{3}/);
  });

  it('agrees with guarded(): tools that need approval do for any input', () => {
    const inputs = [{}, { path: 'a.ts' }, { file_path: 'a.ts' }, { command: 'ls' }, { cmd: 'ls' }, { taskId: 'x' }];
    for (const { tool, does } of GUARDED_TOOLS) {
      if (does === 'asks') for (const input of inputs) expect(asks(tool, input)).toBe(true);
    }
    const reads: Record<string, Record<string, unknown>> = {
      Read: { file_path: 'a.ts' },
      ViewImage: { path: 'a.png' },
      LS: { path: '.' },
      Glob: { pattern: '*.ts' },
      Grep: { pattern: 'x', path: 'a.ts' },
      Bash: { command: 'ls' },
    };
    for (const { tool, does } of GUARDED_TOOLS) if (does === 'reads') expect(asks(tool, reads[tool] ?? {})).toBe(false);
  });
});

describe('the agent’s own lists', () => {
  it.each(OWN)('%s passes in any folder', (tool, input) => {
    expect(asks(tool, input)).toBe(false);
    expect(asks(tool, input, null)).toBe(false);
    expect(asks(tool, input, '/etc')).toBe(false);
  });

  it.each(OWN)('%s with an unknown field: needs approval', (tool, input) => {
    expect(asks(tool, { ...input, file_path: 'a' })).toBe(true);
  });

  it('pass without a card, with an entry in the audit', async () => {
    const middle = await createRunning();
    for (const [at, [tool, input]] of OWN.entries()) {
      await ask(middle, { ...bash(''), requestId: `perm-${at}`, callId: `call-${at}`, tool, input });
    }
    expect(middle.surface.views.length > 0 ? cards(middle) : []).toEqual([]);
    expect(middle.connection.answers).toHaveLength(OWN.length);
    expect(middle.audit.entries.map(({ tool, via }) => [tool, via])).toEqual(OWN.map(([tool]) => [tool, 'guarded']));
  });
});

describe('ViewImage', () => {
  it('passes only for pictures in the working directory', () => {
    expect(asks('ViewImage', { path: 'docs/a.png' })).toBe(false);
    for (const path of ['/etc/a.png', '../a.png', '.ssh/a.png', '.git/a.png', '~/a.png', '']) {
      expect(asks('ViewImage', { path })).toBe(true);
    }
  });
});
