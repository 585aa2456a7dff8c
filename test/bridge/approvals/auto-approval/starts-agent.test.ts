import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy } from '../../../../src/bridge/access/policy.ts';
import type { ApprovalRequest } from '../../../../src/bridge/agent-event.ts';
import { problemOfRule } from '../../../../src/bridge/approvals/auto-approval/rules.ts';
import { startsAgent } from '../../../../src/bridge/approvals/auto-approval/starts-agent.ts';
import { createRunning, type Middle } from '../../../support/middle.ts';
import { ALICE, ask, BOB, bash, cards, click, lastCard, reply, submit } from '../../thread/approvals/asking-people.ts';

const CARA = 'U03CARA';
const admins = { ids: [BOB], groups: [] };

function agent(change: Partial<ApprovalRequest> = {}): ApprovalRequest {
  const input = { subagent_type: 'general-purpose', description: 'count', prompt: 'touch x' };
  const suggestions = [{ id: 'save-default', text: 'Yes, allow subagent operations during this session' }];
  return bash('', { tool: 'Agent', input, suggestions, ...change });
}

function places(change: Partial<Policy['defaults']>, more: Partial<Policy> = {}): { policy: Partial<Policy> } {
  return { policy: { admins, defaults: { ...closedPolicy.defaults, ...change }, ...more } };
}

function answered(middle: Middle): string[] {
  return middle.connection.answers.map(({ decision }) => decision.behavior);
}

describe('the name of a tool', () => {
  it.each([
    ...['Agent', 'agent', 'Task', 'task', 'TASK', 'Workflow', 'workflow', 'SendAgentMessage', 'Subagent'],
    ...['spawn_agent', 'spawnAgent', 'launch_subagent', 'run_subagent', 'dispatch_agent', 'create_agent'],
    ...['send_message_to_agent_async', 'mcp__crew__start_agent', 'RunAgentsInParallel', 'delegate', 'AgentTask'],
  ])('%s starts another agent', (tool) => {
    expect(startsAgent(tool)).toBe(true);
  });

  it.each([
    ...[
      'Bash',
      'Write',
      'TaskCreate',
      'TaskGet',
      'TaskList',
      'TaskUpdate',
      'TaskStop',
      'TodoWrite',
      'Monitor',
      'Skill',
    ],
    ...['AskUserQuestion', 'exec_command', 'UserAgent', 'get_agent', 'list_agents', 'reagent_start', ''],
  ])('%s does not', (tool) => {
    expect(startsAgent(tool)).toBe(false);
  });
});

describe('a request to start a subagent', () => {
  it('is approved only by an admin, denied also by the requester', async () => {
    const middle = await createRunning(places({}));
    await ask(middle, agent());
    expect(await click(middle, 'approve')).toMatchObject({ result: 'refused', why: 'not_allowed' });
    expect(await click(middle, 'approve', { user: CARA })).toMatchObject({ result: 'refused' });
    expect(answered(middle)).toEqual([]);
    expect(await click(middle, 'approve', { user: BOB })).toEqual({ result: 'decided' });
    await ask(middle, agent({ requestId: 'perm-2' }));
    expect(await click(middle, 'deny')).toEqual({ result: 'decided' });
    expect(answered(middle)).toEqual(['allow', 'deny']);
  });

  it('its card warns that nothing asks afterwards, and asks the admins', async () => {
    const middle = await createRunning(places({}));
    await ask(middle, agent());
    expect(lastCard(middle)).toMatchObject({
      asks: [BOB],
      startsAgent: { by: 'admins' },
      offers: { edit: false, grant: null, rule: false },
    });
  });

  it('no admins: cannot be approved, only denied', async () => {
    const middle = await createRunning();
    await ask(middle, agent());
    expect(lastCard(middle)).toMatchObject({ asks: [], startsAgent: { by: 'nobody' } });
    expect(await click(middle, 'approve')).toMatchObject({ result: 'refused' });
    expect(await click(middle, 'deny')).toEqual({ result: 'decided' });
  });

  it.each([
    ['subagents: allow', places({ subagents: true })],
    ['a place that may be unrestricted', places({}, { unrestricted: { ...closedPolicy.channels, ids: ['C01GEN'] } })],
    ['its channel alone allowing it', places({}, { places: new Map([['C01GEN', { subagents: true }]]) })],
  ])('may be approved by its requester with %s', async (_, options) => {
    const middle = await createRunning(options);
    await ask(middle, agent());
    expect(lastCard(middle)).toMatchObject({ asks: [ALICE], startsAgent: { by: 'approvers' } });
    expect(await click(middle, 'approve', { user: CARA })).toMatchObject({ result: 'refused' });
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
  });

  it('needs a click in every mode, despite rules', async () => {
    const rules = { subagents: true, autoApprove: ['Agent', 'Bash(touch x)'] };
    for (const permissions of ['guarded', 'standard', 'acceptEdits', 'strict', 'unrestricted'] as const) {
      const unrestricted = { ...closedPolicy.channels, everywhere: true };
      const middle = await createRunning(places({ ...rules, permissions }, { unrestricted }));
      await ask(middle, agent());
      expect(cards(middle)).toHaveLength(1);
      expect(answered(middle)).toEqual([]);
    }
  });

  it("admin's own turn: follows APPROVERS and self-approval", async () => {
    const own = { admins: { ids: [ALICE, BOB], groups: [] } };
    const middle = await createRunning(
      places({ selfApproval: false, approvers: { requester: true, ids: [BOB], groups: [] } }, own),
    );
    await ask(middle, agent());
    expect(lastCard(middle).asks).toEqual([BOB]);
    expect(await click(middle, 'approve')).toMatchObject({ result: 'refused' });
    expect(await click(middle, 'approve', { user: BOB })).toEqual({ result: 'decided' });
  });

  it('offers no wider consent, and refuses a forged click for one', async () => {
    const middle = await createRunning(places({ subagents: true }));
    await ask(middle, agent());
    for (const name of ['allow_command', 'allow_edits', 'save_rule'] as const) {
      expect(await click(middle, name, { user: BOB })).toMatchObject({ result: 'refused' });
    }
    expect(await submit(middle, 'save_rule', [], { user: BOB })).toMatchObject({ result: 'refused' });
    expect(answered(middle)).toEqual([]);
  });

  it("its requester's reply can deny it, not approve it", async () => {
    const middle = await createRunning(places({}));
    await ask(middle, agent());
    expect(await reply(middle, 'yes')).toMatchObject({ outcome: 'yes_needs_click' });
    await reply(middle, 'count them yourself');
    const { view } = middle.surface.offers.at(-1) ?? {};
    expect(await click(middle, 'deny_with_this', { token: view?.token as never })).toEqual({ result: 'decided' });
    expect(middle.connection.answers.at(-1)?.decision).toEqual({ behavior: 'deny', message: 'count them yourself' });
  });

  it('is listed in the Home tab of admins only', async () => {
    const middle = await createRunning(places({}));
    await ask(middle, agent());
    const asked = async (user: string) => {
      const home = await middle.intake.viewHome(user, 'T01SANDBOX');
      return home.kind === 'open' ? home.approvals.length : -1;
    };
    expect([await asked(BOB), await asked(ALICE)]).toEqual([1, 0]);
  });
});

describe('a rule of AUTO_APPROVE', () => {
  it('cannot name a tool that starts an agent', () => {
    for (const rule of ['Agent', 'Task', 'Workflow', 'SendAgentMessage', 'spawn_agent']) {
      expect(problemOfRule(rule)).toContain('a person must decide');
    }
  });
});
