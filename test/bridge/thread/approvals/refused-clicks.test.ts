import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy } from '../../../../src/bridge/access/policy.ts';
import type { Log } from '../../../../src/bridge/ports.ts';
import { createRunning, THREAD } from '../../../support/middle.ts';
import { ALICE, ask, BOB, bash, click, lastCard, reply, submit } from './asking-people.ts';

const CAROL = 'U03CAROL';
const DANGER = bash('rm -rf build');

function keptLog(): { lines: Record<string, unknown>[]; log: Log } {
  const lines: Record<string, unknown>[] = [];
  const keep = (fields: object) => void lines.push(fields as Record<string, unknown>);
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log };
  return { lines, log };
}

const placed = (change: Partial<Policy['defaults']>): Partial<Policy> => ({
  defaults: { ...closedPolicy.defaults, ...change },
});

describe('a refused click', () => {
  it.each([
    ['somebody who may not decide', BOB, 'not_the_requester'],
    ['a guest, who may not even look', 'U04GUEST', 'user_is_guest'],
  ])('by %s: is logged with its reason, and in the audit', async (_, user, reason) => {
    const { lines, log } = keptLog();
    const middle = await createRunning({ log });
    await ask(middle, DANGER);
    await click(middle, 'approve', { user });
    expect(lines).toContainEqual({
      ...{ kind: 'click', outcome: 'refused', reason: 'not_allowed', because: reason },
      ...{ action: 'approve', user, thread: THREAD, request: 'perm-1' },
    });
    expect(middle.audit.entries).toMatchObject([
      {
        outcome: 'refused',
        by: user,
        reason,
        via: 'click',
        requester: ALICE,
        title: 'rm -rf build',
        requestId: 'perm-1',
      },
    ]);
  });

  it('in a modal or typed: one audit entry per person and card', async () => {
    const middle = await createRunning();
    await ask(middle, DANGER);
    for (let round = 0; round < 5; round += 1) await submit(middle, 'deny_with_reason', ['no'], { user: BOB });
    await reply(middle, `!approve ${lastCard(middle).token.slice(0, 8)}`, { user: CAROL });
    expect(middle.audit.entries).toMatchObject([
      { outcome: 'refused', by: BOB, via: 'modal' },
      { outcome: 'refused', by: CAROL, via: 'command' },
    ]);
    await click(middle, 'approve');
    expect(middle.audit.entries.at(-1)).toMatchObject({ outcome: 'approved', by: ALICE });
    const { token } = lastCard(middle);
    expect(middle.audit.entries.filter(({ id }) => id === token)).toHaveLength(1);
  });

  it('on a decided card: is logged, but not in the audit', async () => {
    const { lines, log } = keptLog();
    const middle = await createRunning({ log });
    await ask(middle, DANGER);
    const { token } = lastCard(middle);
    await click(middle, 'deny');
    await click(middle, 'approve', { token });
    expect(lines).toContainEqual(expect.objectContaining({ because: 'already_decided', thread: THREAD, user: ALICE }));
    expect(middle.audit.entries.map(({ outcome }) => outcome)).toEqual(['denied']);
  });

  it('audit write fails: is answered, and audited the next time', async () => {
    const middle = await createRunning();
    await ask(middle, DANGER);
    middle.audit.failing = 1;
    expect(await click(middle, 'approve', { user: BOB })).toMatchObject({ result: 'refused' });
    expect(middle.audit.entries).toEqual([]);
    await click(middle, 'approve', { user: BOB });
    expect(middle.audit.entries).toHaveLength(1);
  });
});

describe('without self-approval, a refused click', () => {
  it.each<[string, Policy['defaults']['approvers'], string, string, string]>([
    ['the requester', { requester: true, ids: [BOB], groups: [] }, ALICE, `Ask <@${BOB}>.`, 'is told whom to ask'],
    ['a bystander', { requester: true, ids: [BOB], groups: [] }, CAROL, `Only <@${BOB}> can`, 'is not sent to her'],
    ['a bystander', { requester: false, ids: [ALICE, BOB], groups: [] }, CAROL, `Only <@${BOB}> can`, 'nor by id'],
    ['a bystander', { requester: true, ids: [], groups: [] }, CAROL, 'No one can decide this here', 'is told so'],
    ['the requester', { requester: true, ids: [], groups: [] }, ALICE, 'No one can decide this here', 'is told so'],
    ['the requester', { requester: true, ids: [], groups: ['S1'] }, ALICE, 'the group S1', 'is told of the group'],
  ])('by %s with %j: names others who may decide, if any', async (_, approvers, user, notice) => {
    const middle = await createRunning({ policy: placed({ selfApproval: false, approvers }) });
    await ask(middle, DANGER);
    const outcome = await click(middle, 'approve', { user });
    expect(outcome).toMatchObject({ result: 'refused', notice: expect.stringContaining(notice) });
    expect(JSON.stringify(outcome)).not.toContain(ALICE);
    expect(lastCard(middle).asks).not.toContain(ALICE);
  });
});
