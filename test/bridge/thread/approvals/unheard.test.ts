import { describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../../../src/bridge/agent-event.ts';
import { BridgeError } from '../../../../src/errors.ts';
import { createRunning, holdWrites, type Middle } from '../../../support/middle.ts';
import { ALICE, ask, asking, bash, click, lastCard, reply, submit, told } from './asking-people.ts';

const HOUR = 60 * 60_000;
const DANGER = bash('rm -rf build');
const QUESTION = asking([{ question: 'Which color?', options: ['Red', 'Blue'] }]);
const uncertain = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false, retry: true }));
const never = () => new Promise<never>(() => {});

async function asked(request: ApprovalRequest, options: Parameters<typeof createRunning>[0] = {}): Promise<Middle> {
  const middle = await createRunning({ turnsDieWithLink: false, ...options });
  await ask(middle, request);
  return middle;
}

async function loseLink(middle: Middle): Promise<void> {
  middle.connection.emit({ type: 'lost', reason: 'closed' });
  await middle.clock.settle();
}

/** Letta is there again and still waits; what it was told before does not count here. */
async function isBack(middle: Middle, request: ApprovalRequest): Promise<void> {
  const id = middle.connections.flatMap(({ submitted }) => submitted)[0]?.clientMessageId ?? '';
  middle.connection.onAnswer = () => Promise.resolve('accepted');
  middle.connection.answers.length = 0;
  const runs = { activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': [id] } };
  middle.connection.ready({ reconnected: true, loop: 'waiting_on_approval', approvals: [request], ...runs });
  await middle.clock.advance(1_000);
}

const said = (middle: Middle) => middle.surface.said.map(({ text }) => text).join('\n');
const reminded = (middle: Middle) => middle.surface.directs.map(({ text }) => text).join('\n');

describe('a decision that did not reach Letta', () => {
  it('Stop or pause follows: is not sent', async () => {
    for (const how of ['stop', 'pause'] as const) {
      const middle = await asked(DANGER, { policy: { admins: { ids: [ALICE], groups: [] } } });
      middle.connection.onAnswer = uncertain;
      expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
      await loseLink(middle);
      const token = middle.surface.last.live?.stop ?? undefined;
      if (how === 'stop') expect(await click(middle, 'stop', token ? { token } : {})).toEqual({ result: 'decided' });
      else await reply(middle, '!pause', { mention: true });
      await isBack(middle, DANGER);
      expect(told(middle)).toEqual([]);
      expect(middle.connection.aborts).toBe(1);
      expect(lastCard(middle).state).toMatchObject({ state: 'closed', why: 'turn_over' });
    }
  });

  it('turn already stopping: is refused', async () => {
    const middle = await asked(DANGER);
    middle.connection.onAbort = uncertain;
    const stop = middle.surface.last.live?.stop;
    if (!stop) throw new Error('there is no Stop');
    await click(middle, 'stop', { token: stop });
    await loseLink(middle);
    middle.connection.onAbort = never;
    await isBack(middle, DANGER);
    for (const name of ['approve', 'deny', 'allow_command'] as const) {
      expect(await click(middle, name)).toMatchObject({
        result: 'refused',
        notice: expect.stringContaining('stopped'),
      });
    }
    expect(told(middle)).toEqual([]);
  });

  it('link drops while it is stored: waits until Letta asks again', async () => {
    for (const [then, heard] of [
      [DANGER, [{ behavior: 'allow' }]],
      // The model makes the ids, so after a loss the same id may stand for another request.
      [bash('rm -rf /'), []],
    ] as const) {
      const middle = await asked(DANGER);
      const tell = holdWrites(middle);
      const clicked = click(middle, 'approve');
      await middle.clock.settle();
      expect(middle.record().approvals[0]?.state.state).toBe('decided');
      // What the link says waits behind the write.
      middle.connection.emit({ type: 'lost', reason: 'closed' });
      const back = isBack(middle, then);
      tell();
      await back;
      expect(await clicked).toEqual({ result: 'decided' });
      expect(told(middle)).toEqual(heard);
    }
  });

  it('another request takes its id: is not sent for that one', async () => {
    const edit = (requestId: string) =>
      bash('', { requestId, tool: 'Write', input: { file_path: '/project/a.ts', content: 'b' } });
    const middle = await asked(edit('perm-1'));
    expect(await click(middle, 'allow_edits')).toEqual({ result: 'decided' });
    await ask(middle, bash('rm -rf build', { requestId: 'perm-2' }));
    middle.connection.onAnswer = uncertain;
    expect(await submit(middle, 'edit_command', ['rm -rf build/tmp'])).toEqual({ result: 'decided' });
    // The model makes the ids: after the loss, the same id stands for an edit, which passes by the consent.
    for (const _ of ['passes, unheard', 'passes again']) {
      await loseLink(middle);
      const back = isBack(middle, edit('perm-2'));
      middle.connection.onAnswer = uncertain;
      await back;
      expect(told(middle)).toEqual([{ behavior: 'allow' }]);
    }
  });

  it('too old: the card opens again with the full time', async () => {
    const middle = await asked(DANGER, { approvalTimeoutMs: 2 * HOUR, staleAfterMs: HOUR / 4, now: 1_000_000 });
    await middle.clock.advance(HOUR / 2);
    expect(reminded(middle)).toContain('is waiting for a decision');
    middle.surface.directs.length = 0;
    middle.connection.onAnswer = uncertain;
    await click(middle, 'approve');
    await loseLink(middle);
    await middle.clock.advance(3 * HOUR);
    await isBack(middle, DANGER);
    expect(lastCard(middle).state).toEqual({ state: 'open' });
    expect(told(middle)).toEqual([]);
    expect(reminded(middle)).toContain('is waiting for a decision');
    await middle.clock.advance(HOUR);
    expect(await click(middle, 'deny')).toEqual({ result: 'decided' });
  });

  it('restart: sends a rule or an answer again, complete', async () => {
    const rule = await asked(DANGER, { policy: { admins: { ids: [ALICE], groups: [] } } });
    rule.connection.onAnswer = never;
    expect(await submit(rule, 'save_rule', [])).toEqual({ result: 'decided' });
    await rule.restart();
    await isBack(rule, DANGER);
    expect(told(rule)).toEqual([{ behavior: 'allow', suggestionIds: ['save-default'] }]);
    const answer = await asked(QUESTION);
    answer.connection.onAnswer = never;
    expect(await reply(answer, 'Blue, as always')).toMatchObject({ outcome: 'answered' });
    await answer.restart();
    await isBack(answer, QUESTION);
    expect(told(answer)).toMatchObject([{ updatedInput: { answers: { 'Which color?': 'Blue, as always' } } }]);
  });

  it('restart and its text is not stored: the card opens again', async () => {
    const middle = await asked(DANGER);
    await middle.clock.advance(HOUR / 2);
    middle.connection.onAnswer = never;
    await submit(middle, 'edit_command', ['rm -rf build/tmp']);
    middle.surface.said.length = 0;
    await middle.restart();
    await isBack(middle, DANGER);
    expect(told(middle)).toEqual([]);
    expect(lastCard(middle).state).toEqual({ state: 'open' });
    expect(reminded(middle)).toContain('is waiting for a decision');
  });

  it('expiry refused by Letta: is not retried for ever', async () => {
    const middle = await asked(DANGER, { approvalTimeoutMs: HOUR });
    middle.connection.onAnswer = async () => {
      await new Promise<void>((resolve) => void middle.clock.after(50, resolve));
      throw new BridgeError('input_refused', 'Letta refused', { notice: 'no' });
    };
    await middle.clock.advance(3 * HOUR);
    expect(middle.connection.answers.length).toBeLessThan(4);
  });
});

describe('a typed answer', () => {
  it('for a request already over: its author hears it came too late', async () => {
    const question = await asked(QUESTION);
    question.connection.onAnswer = () => Promise.resolve('gone');
    expect(await reply(question, 'Blue, and update the logo')).toMatchObject({ outcome: 'answered' });
    expect(said(question)).toContain(`<@${ALICE}>, your message came after the request was over`);
    const request = await asked(DANGER);
    await reply(request, 'rather zip it');
    const offer = request.record().offers[0];
    request.connection.onAnswer = () => Promise.resolve('gone');
    const token = offer?.token;
    expect(await click(request, 'deny_with_this', token ? { token } : {})).toEqual({ result: 'decided' });
    expect(said(request)).toContain(`<@${ALICE}>, your message came after the request was over`);
  });

  it('Letta unreachable: is refused openly and not queued', async () => {
    const middle = await asked(QUESTION);
    await loseLink(middle);
    expect(await reply(middle, 'Blue')).toEqual({ outcome: 'refused', reason: 'unreachable' });
    expect(said(middle)).toContain('stays open');
    expect(middle.record().inbox).toEqual([]);
    await isBack(middle, QUESTION);
    expect(await reply(middle, 'Blue')).toMatchObject({ outcome: 'answered' });
  });
});
