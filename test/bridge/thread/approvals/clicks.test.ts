import { describe, expect, it } from 'vitest';
import { closedPolicy } from '../../../../src/bridge/access/policy.ts';
import type { ApprovalRequest } from '../../../../src/bridge/agent-event.ts';
import { digestOf } from '../../../../src/bridge/approvals/answers.ts';
import { makeToken, type Token } from '../../../../src/bridge/ids.ts';
import type { ActionName, InboundAction, SubmissionName } from '../../../../src/bridge/inbound.ts';
import { createRunning, type Middle, ROOT, TEAM } from '../../../support/middle.ts';
import { seeded } from '../../../support/story-letta.ts';
import { ALICE, ask, asking, BOB, bash } from './asking-people.ts';

const CLICKS = 10_000;
const REQUESTS = 100;
const PEOPLE = [ALICE, BOB, 'U03CARA', 'U04GUEST', 'U05EXT', 'U06BOT', 'U99NOBODY'];
const ADMIN = 'U03CARA';
const ACTIONS: ActionName[] = [
  ...(['approve', 'deny', 'deny_with_reason', 'edit_command', 'allow_command', 'allow_edits', 'save_rule'] as const),
  ...(['view_full', 'view_page', 'answer', 'answer_in_words', 'run_now', 'deny_with_this', 'ask_again'] as const),
];
const MODALS: SubmissionName[] = ['approve', 'deny_with_reason', 'edit_command', 'save_rule', 'answer_in_words'];
const PARALLEL = 4;

interface Shown {
  request: ApprovalRequest;
  /** Of what its card showed. */
  digest: string;
}

/** Every kind of request; commands differ, so that no wider consent answers another one. */
function requestOf(n: number): ApprovalRequest {
  const requestId = `perm-${n}`;
  switch (n % 4) {
    case 0:
      return { ...asking([{ question: `Which ${n}?`, options: ['A', 'B'] }]), requestId };
    case 1:
      return bash('', { requestId, tool: 'Write', input: { file_path: `/elsewhere/${n}`, content: 'x' } });
    case 2:
      return bash(`touch ${n} ${'x'.repeat(n === 2 ? 190_000 : 20_000)}`, { requestId });
    default:
      return bash(`touch ${n}`, { requestId });
  }
}

describe(`${CLICKS} random clicks on ${REQUESTS} requests`, () => {
  it('at most one allowed click decides each, for the input shown', async () => {
    const random = seeded(20_260_105);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
    const middle = await createRunning({
      policy: {
        admins: { ids: [ADMIN], groups: [] },
        defaults: { ...closedPolicy.defaults, approvers: { requester: true, ids: [BOB], groups: [] } },
      },
    });
    const shown = new Map<string, Shown>();
    const tokens = new Map<string, Token>();
    const waiting: number[] = [];
    let next = 0;
    const more = async () => {
      while (waiting.length < 12 && next < REQUESTS) {
        const request = requestOf(next);
        await ask(middle, request);
        shown.set(request.requestId, { request, digest: digestOf(request.input) });
        const record = middle.record().approvals.findLast(({ requestId }) => requestId === request.requestId);
        if (!record) throw new Error('it was not asked');
        tokens.set(request.requestId, record.token);
        waiting.push(next);
        next += 1;
      }
    };
    /** Answers as Letta heard them, each with the input that waited at that moment. */
    const heard: { requestId: string; digest: string }[] = [];
    middle.connection.onAnswer = () => {
      const { requestId } = middle.connection.answers.at(-1) ?? { requestId: '' };
      heard.push({ requestId, digest: digestOf(shown.get(requestId)?.request.input ?? {}) });
      return Promise.resolve('accepted');
    };

    const given = new Map<string, { user: string; name: string }[]>();
    let refusals = 0;
    for (let round = 0; round < CLICKS / PARALLEL; round += 1) {
      await more();
      const clicks = Array.from({ length: PARALLEL }, () => oneClick(middle, { pick, random, tokens, waiting }));
      // What waits may change under the fingers: then nothing that was shown waits any more.
      const changed = random() < 0.3 ? shown.get(`perm-${pick(waiting)}`) : undefined;
      const before = changed && structuredClone(changed.request.input);
      if (changed) changed.request.input.sneaky = 'rm -rf /';
      const outcomes = await Promise.all(clicks.map(({ done }) => done));
      await middle.clock.settle();
      if (changed && before) delete changed.request.input.sneaky;
      outcomes.forEach((outcome, at) => {
        const click = clicks[at];
        if (!click) return;
        if (outcome.result === 'refused') {
          refusals += 1;
          expect(outcome.notice).toMatch(/\w/);
        }
        if (outcome.result === 'decided') given.set(click.about, [...(given.get(click.about) ?? []), click]);
      });
      for (const { requestId } of heard) {
        const at = waiting.indexOf(Number(requestId.slice('perm-'.length)));
        if (at >= 0) waiting.splice(at, 1);
      }
    }

    expect(refusals).toBeGreaterThan(CLICKS / 4);
    expect(heard.length).toBeGreaterThan(REQUESTS / 2);
    expect(new Set(heard.map(({ requestId }) => requestId)).size).toBe(heard.length);
    expect([...given.values()].filter((clicks) => clicks.length !== 1)).toEqual([]);
    expect([...given.keys()].sort()).toEqual(heard.map(({ requestId }) => requestId).sort());
    for (const { requestId, digest } of heard) {
      expect(digest).toBe(shown.get(requestId)?.digest);
      const [click] = given.get(requestId) ?? [];
      const question = shown.get(requestId)?.request.questions;
      const may = question ? [ALICE] : click?.name === 'save_rule' ? [ADMIN] : [ALICE, BOB];
      expect(may).toContain(click?.user);
    }
    for (const { requestId, decision } of middle.connection.answers) {
      const request = shown.get(requestId)?.request;
      if (!request?.questions || decision.behavior !== 'allow') continue;
      expect(decision.updatedInput).toMatchObject({ answers: expect.anything() });
    }
  }, 120_000);
});

interface Hand {
  pick<T>(all: readonly T[]): T;
  random(): number;
  tokens: ReadonlyMap<string, Token>;
  waiting: readonly number[];
}

/** By anybody, on anything: open and old cards, tokens that were made up, windows of requests that are not theirs. */
function oneClick(middle: Middle, { pick, random, tokens, waiting }: Hand) {
  const user = pick(PEOPLE);
  const about =
    random() < 0.6 && waiting.length > 0 ? `perm-${pick(waiting)}` : `perm-${pick([...tokens.keys()]).slice(5)}`;
  const forged = random() < 0.1;
  const token = forged
    ? makeToken(pick(['', 'x', 'forged', `${tokens.get(about)}x`]))
    : (tokens.get(about) ?? makeToken('x'));
  const actor = { user, team: TEAM };
  const choices = pick([[], [[0]], [[1]], [[7]], [[-1]]]);
  if (random() < 0.4) {
    const name = pick(MODALS);
    const texts = [pick(['', ' ', 'touch other', 'no, because'])];
    return {
      user,
      name,
      about,
      done: middle.intake.handleSubmission({ name, token, texts, choices, actor, team: TEAM }),
    };
  }
  const name = pick(ACTIONS);
  const choice = pick([
    null,
    { question: 0, options: [1] },
    { question: 9, options: [0] },
    { question: 0, options: [9] },
  ]);
  const place = { channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
  const action: InboundAction = { name, token, choice, page: 2, actor, team: TEAM, ...place };
  return { user, name, about, done: middle.intake.handleAction(action) };
}
