import { mkdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCoveringGrants, makeGrant } from '../../src/bridge/approvals/auto-approval/grants.ts';
import { judgeGuarded } from '../../src/bridge/approvals/auto-approval/guarded.ts';
import { matchingRule } from '../../src/bridge/approvals/auto-approval/rules.ts';
import { Canaries, SHELLS } from './canaries.ts';
import { pathOf, randomOf } from './unasked-lines.ts';
import { runUnasked } from './unasked-run.ts';

let world: Canaries;
beforeAll(() => {
  world = new Canaries();
});
afterAll(() => world.remove());

/** As Letta's tools find a file (letta-code 0.32.18): `~` and `$NAME` are expanded. */
function opened(path: string): string {
  const home = path === '~' || path.startsWith('~/') ? join(world.home, path.slice(1)) : path;
  const expanded = home.replaceAll('$HOME', world.home);
  return isAbsolute(expanded) ? resolve(expanded) : resolve(world.project, expanded);
}

/** Everything that a file system without regard to capitals or forms of letters would take for the same. */
const same = (path: string) =>
  path
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .toLowerCase()
    .split('/')
    .map((part) => part.trim().replace(/[. ]+$/, ''))
    .join('/');

describe('a call approved without asking', () => {
  it('reads no canary and changes nothing in real shells', () => {
    expect(SHELLS.length).toBeGreaterThan(0);
    const { passed } = runUnasked({ seed: 13, lines: 1_500, runs: 30 });
    expect(passed).toBeGreaterThan(60);
  });

  it('the check can fail: these shells do print canaries', () => {
    for (const shell of SHELLS) {
      expect(world.run(shell, ['cat .env', 'cat .git//config', 'echo $TOKEN', 'cat .e*']).join()).toMatch(
        /(CANARY.*){4}/s,
      );
    }
  });

  it("Letta's own tools: opens no canary, whatever its path", () => {
    const random = randomOf(7);
    const secret = new Set([...world.secret].map(same));
    let passed = 0;
    const wrong: string[] = [];
    for (let count = 0; count < 6_000; count += 1) {
      const path = pathOf(world, random);
      for (const [tool, input] of [
        ['Read', { file_path: path }],
        ['Grep', { pattern: 'KEY', path, output_mode: 'content' }],
      ] as const) {
        if (judgeGuarded({ tool, input }, world.project).asks) continue;
        passed += 1;
        const isFolder = statSync(opened(path), { throwIfNoEntry: false })?.isDirectory() ?? false;
        const outside = !opened(path).startsWith(world.project);
        if (secret.has(same(opened(path))) || outside || (tool === 'Grep' && isFolder)) wrong.push(path);
      }
    }
    expect(wrong).toEqual([]);
    expect(passed).toBeGreaterThan(500);
  });

  it('Write(**) or "all edits": changes no secrets, git or outside files', () => {
    const random = randomOf(11);
    const secret = new Set([...world.secret].map(same));
    const by = { id: 'U1', kind: 'member', groups: [] } as const;
    const grant = makeGrant(
      { requestId: 'r', callId: null, tool: 'Write', input: {}, diffs: [], suggestions: [], questions: null },
      { kind: 'edits', by: { ...by, groups: [] }, at: 1, directory: world.project },
    );
    let passed = 0;
    const wrong: string[] = [];
    for (let count = 0; count < 6_000; count += 1) {
      const path = pathOf(world, random);
      const call = { tool: 'Write', input: { file_path: path, content: '' } };
      const request = { requestId: 'r', callId: null, ...call, diffs: [], suggestions: [], questions: null };
      const byRule = matchingRule(['Write(**)'], call, world.project) !== null;
      const byGrant = findCoveringGrants([grant], request, world.project).length > 0;
      if (byRule !== byGrant) wrong.push(path);
      if (!byRule) continue;
      passed += 1;
      const outside = !opened(path).startsWith(`${world.project}/`);
      const parts = same(opened(path).slice(world.project.length)).split('/');
      if (secret.has(same(opened(path))) || outside || parts.includes('.git')) wrong.push(path);
    }
    expect(wrong).toEqual([]);
    expect(passed).toBeGreaterThan(500);
  });

  it('working directory moving: asks, so a canary there stays unread', () => {
    const moved = join(world.home, 'other');
    mkdirSync(moved, { recursive: true });
    writeFileSync(join(moved, 'plain.txt'), 'CANARY_moved\n');
    const judged = judgeGuarded({ tool: 'Bash', input: { command: 'cat plain.txt' } }, realpathSync(world.project), {
      mayMove: true,
    });
    expect(judged.asks).toBe(true);
  });
});
