import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { can } from '../../src/bridge/access/can.ts';
import { closedPolicy, type Policy } from '../../src/bridge/access/policy.ts';
import type { ApprovalRequest } from '../../src/bridge/agent-event.ts';
import { ruleOf } from '../../src/bridge/approvals/answers.ts';
import { findAutoApproval } from '../../src/bridge/approvals/auto-approval/auto-approval.ts';
import { grantFor, makeGrant } from '../../src/bridge/approvals/auto-approval/grants.ts';
import { matchingRule } from '../../src/bridge/approvals/auto-approval/rules.ts';
import { whoDecides } from '../../src/bridge/approvals/who-decides.ts';
import { runs } from '../support/runs.ts';

const place = { channel: 'C01GEN', channelKind: 'channel', external: false } as const;
const alice = { id: 'U01ALICE', kind: 'member', groups: [] as string[] } as const;
const bob = { id: 'U02BOB', kind: 'member' } as const;

/** A name under which some toolset, mod or server may offer to start an agent, in any spelling. */
const words = fc
  .tuple(
    fc.constantFrom('spawn', 'start', 'launch', 'run', 'dispatch', 'deploy', 'create', 'delegate', 'send', 'invoke'),
    fc.constantFrom('agent', 'agents', 'subagent', 'subagents', 'teammate', 'workflow'),
    fc.array(fc.constantFrom('new', 'to', 'message', 'async', 'background', 'in', 'parallel', 'mcp', 'crew'), {
      maxLength: 3,
    }),
  )
  .chain(([verb, noun, more]) => fc.shuffledSubarray([verb, noun, ...more], { minLength: 2 + more.length }));
const spelled = fc.tuple(words, fc.constantFrom('_', '-', '.', '__', '/', 'camel', 'Pascal')).map(([some, how]) => {
  const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
  if (how === 'Pascal') return some.map(capital).join('');
  if (how === 'camel') return some.map((word, at) => (at === 0 ? word : capital(word))).join('');
  return some.join(how);
});
const name = fc.oneof(
  spelled,
  fc.constantFrom('Agent', 'agent', 'Task', 'task', 'TASK', 'Workflow', 'SendAgentMessage'),
);

/** What the model may put into a call to make it look like one that passes. */
const input = fc.oneof(
  fc.constant({ command: 'ls', description: 'lists files' }),
  fc.constant({ file_path: 'README.md' }),
  fc.constant({ file_path: 'a.txt', content: 'x' }),
  fc.dictionary(fc.string(), fc.jsonValue()),
);

const policy: fc.Arbitrary<Policy> = fc
  .record({
    permissions: fc.constantFrom('guarded', 'standard', 'acceptEdits', 'strict', 'unrestricted'),
    subagents: fc.boolean(),
    everywhere: fc.boolean(),
    autoApprove: fc.array(fc.constantFrom('Agent', 'Task', 'Workflow', 'Bash(ls)', 'Read(**)', 'Write(**)')),
  })
  .map(({ permissions, subagents, everywhere, autoApprove }) => ({
    ...closedPolicy,
    users: { ...closedPolicy.users, members: true },
    channels: { ...closedPolicy.channels, everywhere: true },
    admins: { ids: [bob.id], groups: [] },
    unrestricted: { ...closedPolicy.channels, everywhere },
    defaults: { ...closedPolicy.defaults, permissions, subagents, autoApprove },
  }));

describe('a tool that starts an agent', () => {
  it("needs a click under any name and input, by default an admin's", () => {
    fc.assert(
      fc.property(name, input, policy, (tool, given, now) => {
        const request: ApprovalRequest = {
          ...{ requestId: 'perm-1', callId: 'call-1', tool, input: given, diffs: [], questions: null },
          suggestions: [{ id: 'save-default', text: 'Yes, always' }],
        };
        const grants = (['command', 'edits'] as const).map((kind) =>
          makeGrant(request, { kind, by: { ...alice, groups: [] }, at: 1, directory: '/project' }),
        );
        const rules = [...now.defaults.autoApprove, tool];
        expect(
          findAutoApproval(request, {
            policy: { ...now, defaults: { ...now.defaults, autoApprove: rules } },
            ...{ place, workingDirectory: '/project', requester: alice.id, grants, mayMove: false },
          }),
        ).toBeNull();
        expect(matchingRule(rules, request, '/project')).toBeNull();
        expect([ruleOf(request), grantFor(request)]).toEqual([null, null]);
        const decide = whoDecides({ tool, requester: alice.id });
        const free = now.defaults.subagents || now.unrestricted.everywhere;
        expect(can(now, alice, decide, place).allowed).toBe(free);
        // Bob decides for Alice as an admin alone, or not at all.
        expect(can(now, bob, decide, place).allowed).toBe(!free);
      }),
      { numRuns: runs(3_000) },
    );
  });
});
