import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy } from '../../../src/bridge/access/policy.ts';
import { shortId } from '../../../src/bridge/approvals/short-id.ts';
import { createRunning, type Middle } from '../../support/middle.ts';
import { ALICE, ask, BOB, bash, cards, click, lastCard, submit, told } from '../thread/approvals/asking-people.ts';

const CAROL = 'U03CAROL';
const DANGER = bash('rm -rf build');

function placed(change: Partial<Policy['defaults']>, policy: Partial<Policy> = {}): Partial<Policy> {
  return { ...policy, defaults: { ...closedPolicy.defaults, ...change } };
}

const approvers = (...ids: string[]) => ({ requester: false, ids, groups: [] });
const FOUR_EYES = placed({ selfApproval: false, approvers: approvers(BOB, CAROL) });

async function edited(policy: Partial<Policy>, options: { turnsDieWithLink?: boolean } = {}): Promise<Middle> {
  const middle = await createRunning({ policy, ...options });
  await ask(middle, DANGER);
  expect(await submit(middle, 'edit_command', ['rm -rf /tmp/build'], { user: BOB })).toEqual({ result: 'decided' });
  return middle;
}

describe('an edited command without self-approval', () => {
  it('does not run: a new card shows it and asks another person', async () => {
    const middle = await edited(FOUR_EYES);
    expect(told(middle)).toEqual([]);
    const [before, after] = cards(middle);
    expect(before).toMatchObject({ state: { state: 'decided', decision: 'edited', by: BOB } });
    expect(after).toMatchObject({
      state: { state: 'open' },
      title: 'rm -rf /tmp/build',
      shown: { subject: 'rm -rf /tmp/build', description: null },
      editedBy: BOB,
      asks: [CAROL],
      offers: { grant: null, rule: false },
    });
    expect(after?.token).not.toBe(before?.token);
  });

  it('cannot be approved by its editor or the requester', async () => {
    const middle = await edited(placed({ selfApproval: false, approvers: approvers(ALICE, BOB, CAROL) }));
    for (const user of [BOB, ALICE]) {
      for (const name of ['approve', 'allow_command'] as const) {
        expect(await click(middle, name, { user })).toMatchObject({ result: 'refused', why: 'not_allowed' });
      }
      expect(await submit(middle, 'approve', [], { user })).toMatchObject({ result: 'refused' });
      expect(await submit(middle, 'edit_command', ['rm -rf /tmp/build'], { user })).toMatchObject({
        result: 'refused',
      });
    }
    expect(told(middle)).toEqual([]);
    expect(lastCard(middle).state).toEqual({ state: 'open' });
  });

  it('approved by another person: runs as shown; the audit names both', async () => {
    const middle = await edited(FOUR_EYES);
    expect(await click(middle, 'approve', { user: CAROL })).toEqual({ result: 'decided' });
    const updatedInput = { command: 'rm -rf /tmp/build', description: 'does it' };
    expect(told(middle)).toEqual([{ behavior: 'allow', updatedInput }]);
    expect(middle.audit.entries).toMatchObject([
      { outcome: 'edited', by: BOB, title: 'rm -rf build', input: expect.stringContaining('rm -rf build') },
      { outcome: 'approved_with_changes', by: CAROL, editedBy: BOB, input: expect.stringContaining('/tmp/build') },
    ]);
  });

  it('can be denied by its editor and by other approvers', async () => {
    for (const user of [BOB, CAROL]) {
      const middle = await edited(FOUR_EYES);
      expect(await click(middle, 'deny', { user })).toEqual({ result: 'decided' });
      expect(told(middle)).toMatchObject([{ behavior: 'deny' }]);
    }
  });

  it('the card from before the edit: every button is refused', async () => {
    const middle = await edited(FOUR_EYES);
    const token = cards(middle)[0]?.token;
    if (!token) throw new Error('there is no card');
    for (const name of ['approve', 'deny', 'edit_command', 'allow_command'] as const) {
      expect(await click(middle, name, { user: CAROL, token })).toMatchObject({
        result: 'refused',
        notice: `Already edited by <@${BOB}>.`,
      });
    }
    expect(told(middle)).toEqual([]);
  });

  it('edited again: the first editor may approve it, the second not', async () => {
    const middle = await edited(FOUR_EYES);
    await submit(middle, 'edit_command', ['ls build'], { user: CAROL });
    expect(lastCard(middle)).toMatchObject({ editedBy: CAROL, asks: [BOB], title: 'ls build' });
    expect(await click(middle, 'approve', { user: CAROL })).toMatchObject({ result: 'refused' });
    expect(await click(middle, 'approve', { user: BOB })).toEqual({ result: 'decided' });
    expect(told(middle)).toMatchObject([{ updatedInput: { command: 'ls build' } }]);
  });

  it('sent back unchanged: counts as an approval', async () => {
    const middle = await createRunning({ policy: FOUR_EYES });
    await ask(middle, DANGER);
    expect(await click(middle, 'edit_command', { user: BOB })).toMatchObject({ modal: { asksAnother: true } });
    expect(await submit(middle, 'edit_command', [' rm -rf build '], { user: BOB })).toEqual({ result: 'decided' });
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
  });

  it('no other approver: the edit is refused, a denial suggested', async () => {
    const middle = await createRunning({ policy: placed({ selfApproval: false, approvers: approvers(BOB) }) });
    await ask(middle, DANGER);
    expect(await click(middle, 'edit_command', { user: BOB })).toMatchObject({
      result: 'refused',
      notice: expect.stringContaining('Deny with a reason'),
    });
    expect(await submit(middle, 'edit_command', ['ls'], { user: BOB })).toMatchObject({ result: 'invalid' });
    expect(told(middle)).toEqual([]);
  });

  it('after a restart: still needs another person', async () => {
    const middle = await edited(FOUR_EYES, { turnsDieWithLink: false });
    await middle.restart();
    const id = middle.connections[0]?.submitted[0]?.clientMessageId ?? '';
    const runs = { activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': [id] } };
    middle.connection.ready({ reconnected: true, loop: 'waiting_on_approval', approvals: [DANGER], ...runs });
    await middle.clock.advance(1_000);
    expect(await click(middle, 'approve', { user: BOB })).toMatchObject({ result: 'refused' });
    expect(await click(middle, 'approve', { user: CAROL })).toEqual({ result: 'decided' });
    expect(told(middle)).toMatchObject([{ updatedInput: { command: 'rm -rf /tmp/build' } }]);
  });

  it('follows the same rules for !approve', async () => {
    const middle = await edited(FOUR_EYES);
    const id = shortId(lastCard(middle).token);
    await middle.write(`!approve ${id}`, { user: BOB });
    expect(told(middle)).toEqual([]);
    await middle.write(`!approve ${id}`, { user: CAROL });
    expect(told(middle)).toMatchObject([{ updatedInput: { command: 'rm -rf /tmp/build' } }]);
  });
});

describe('an edited command with self-approval', () => {
  it('runs at once, with its editor in the audit', async () => {
    const middle = await edited(placed({ approvers: approvers(BOB) }));
    expect(told(middle)).toMatchObject([{ updatedInput: { command: 'rm -rf /tmp/build' } }]);
    expect(middle.audit.entries).toMatchObject([
      { outcome: 'approved_with_changes', by: BOB, editedBy: BOB, input: expect.stringContaining('rm -rf /tmp/build') },
    ]);
  });

  it('by an approver who may not speak: the edit is refused', async () => {
    const middle = await createRunning({ users: [ALICE], policy: placed({ approvers: approvers(BOB) }) });
    await ask(middle, DANGER);
    for (const outcome of [
      await click(middle, 'edit_command', { user: BOB }),
      await submit(middle, 'edit_command', ['ls'], { user: BOB }),
    ]) {
      expect(outcome).toMatchObject({ result: 'refused', notice: expect.stringContaining('your own command') });
    }
    expect(await click(middle, 'approve', { user: BOB })).toEqual({ result: 'decided' });
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
  });
});
