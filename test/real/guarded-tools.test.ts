import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GUARDED_TOOLS } from '../../src/bridge/approvals/auto-approval/guarded-tools.ts';
import { mayMoveDirectory } from '../../src/bridge/approvals/directory-moves.ts';

const home = process.env.LETTA_HOME ?? '.letta-home';
const source = readFileSync(join(home, 'node_modules/@letta-ai/letta-code/letta.js'), 'utf8');

/** The text of an object that is assigned at that place. */
function object(begin: string): string {
  const at = source.indexOf(begin);
  if (at < 0) throw new Error(`the server has no ${begin}`);
  return source.slice(at, source.indexOf('\n  };', at));
}

describe('the table of guarded tools', () => {
  it('has every tool of the real server', () => {
    const names = [...object('TOOL_PERMISSIONS = {').matchAll(/^ {4}(\w+): \{/gm)].map(([, name]) => name ?? '');
    expect(names.length).toBeGreaterThan(40);
    // `Agent` is what models are told that `Task` is called.
    expect(GUARDED_TOOLS.map(({ tool }) => tool).sort()).toEqual([...names, 'Agent'].sort());
  });

  it("lists each tool's toolsets as the real server does", () => {
    const sets = [...object('TOOLSET_CATALOG = {').matchAll(/^ {4}(\w+): \{[\s\S]*?tools: \[([^\]]*)\]/gm)];
    const offered = sets.map(([, set = '', tools = '']) => ({
      set,
      tools: [...tools.matchAll(/"(\w+)"/g)].map((m) => m[1]),
    }));
    expect(offered.map(({ set }) => set)).toEqual(['letta', 'none', 'default', 'codex']);
    for (const { tool, toolsets } of GUARDED_TOOLS) {
      const name = tool === 'Agent' ? 'Task' : tool;
      const where = offered.flatMap(({ set, tools }) => (tools.includes(name) ? [set] : []));
      expect([tool, ...(where.length > 0 ? where.sort() : ['-'])]).toEqual([tool, ...[...toolsets].sort()]);
    }
  });

  it('treats every tool that moves the working directory as one', () => {
    const movers = GUARDED_TOOLS.filter(({ tool }) => mayMoveDirectory({ tool, input: {} })).map(({ tool }) => tool);
    expect(movers).toEqual(['SetWorkingDirectory', 'EnterWorktree', 'ExitWorktree']);
  });
});
