import { describe, expect, it } from 'vitest';
import { approveWithRule, digestOf, ruleOf } from '../../../../src/bridge/approvals/answers.ts';
import { REDACTED } from '../../../../src/bridge/text/redact.ts';
import { createRunning } from '../../../support/middle.ts';
import { ALICE, ask, BOB, bash, click, lastCard, submit, told } from './asking-people.ts';

const maybe = bash('PASSWORD=hunter2 ./deploy');

describe('a possible secret in a request', () => {
  it('is hidden on the card, shown to the decider before approving', async () => {
    const middle = await createRunning();
    await ask(middle, maybe);
    expect(lastCard(middle)).toMatchObject({
      title: `PASSWORD=${REDACTED} ./deploy`,
      shown: {
        subject: `PASSWORD=${REDACTED} ./deploy`,
        isRedacted: true,
        isWithheld: true,
        isClipped: false,
        isPartlyShown: true,
      },
      offers: { edit: false },
    });
    expect(await click(middle, 'approve')).toMatchObject({
      modal: {
        kind: 'view_full',
        approves: true,
        own: true,
        redacted: false,
        text: expect.stringContaining('hunter2'),
      },
    });
    for (const name of ['allow_command', 'edit_command', 'save_rule'] as const) {
      expect(await click(middle, name)).toMatchObject({ result: 'refused' });
    }
    expect(told(middle)).toEqual([]);
    expect(await submit(middle, 'approve', [])).toEqual({ result: 'decided' });
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
  });

  it('stays hidden from people who only look', async () => {
    const middle = await createRunning({ users: [ALICE, BOB] });
    await ask(middle, maybe);
    const view = await click(middle, 'view_full', { user: BOB });
    expect(view).toMatchObject({ modal: { kind: 'view_full', approves: false, redacted: true } });
    expect(JSON.stringify(view)).not.toContain('hunter2');
    expect(await click(middle, 'approve', { user: BOB })).toMatchObject({ result: 'refused', why: 'not_allowed' });
  });

  it('is in the audit as the decider saw it, with its digest', async () => {
    const middle = await createRunning();
    await ask(middle, maybe);
    await submit(middle, 'approve', []);
    expect(middle.audit.entries).toMatchObject([
      { title: `PASSWORD=${REDACTED} ./deploy`, digest: digestOf(maybe.input) },
    ]);
    expect(middle.audit.entries[0]?.input).toContain('PASSWORD=hunter2 ./deploy');
    expect(middle.record().approvals[0]?.input).toBeUndefined();
  });

  it('edited command: the audit has the text that ran', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    await submit(middle, 'edit_command', [`touch ${'y'.repeat(400)}`]);
    expect(middle.audit.entries[0]?.input).toContain('y'.repeat(400));
  });
});

describe('a rule that quotes a command', () => {
  const key = `ghp_${'a1B2c3D4'.repeat(5)}`;

  it('hides keys, and is not offered when too long to read', () => {
    const suggestion = (text: string) => bash('x', { suggestions: [{ id: 'save-default', text }] });
    expect(ruleOf(suggestion(`don't ask again for 'push ${key}'`))?.text).toBe(
      `don't ask again for 'push ${REDACTED}'`,
    );
    expect(approveWithRule(suggestion(`'push ${key}'`))?.words).toBe(`rule saved: 'push ${REDACTED}'`);
    expect(ruleOf(suggestion('x'.repeat(2_001)))).toBeNull();
  });
});
