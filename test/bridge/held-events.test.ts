import { expect, it } from 'vitest';
import type { AgentEvent } from '../../src/bridge/agent-event.ts';
import { HeldEvents } from '../../src/bridge/held-events.ts';
import { bash } from './approvals/asking-people.ts';

const text = (runId: string): AgentEvent => ({ type: 'text', runId, messageId: `m-${runId}`, text: 'word' });
const asked: AgentEvent = { type: 'approval-asked', request: bash('touch x') };
const isFirst = (event: AgentEvent) => 'runId' in event && event.runId === 'run-1';

function held(...events: AgentEvent[]): HeldEvents {
  const all = new HeldEvents();
  for (const event of events) all.push(event);
  return all;
}

it('forgets what was told of the turn that is over, and what came before it', () => {
  const all = held(text('run-0'), text('run-1'), text('run-2'));
  all.forgetThrough(isFirst, false);
  expect(all.take()).toEqual([text('run-2')]);
});

it('keeps what Letta asks when a late word of the turn before comes behind it', () => {
  const all = held(asked, text('run-1'), text('run-2'));
  all.forgetThrough(isFirst, true);
  expect(all.take()).toEqual([asked, text('run-2')]);
});

it('forgets a request that was withdrawn, or that nobody waits for any more', () => {
  const withdrawn = held(asked, { type: 'approvals-open', requestIds: [] }, text('run-1'));
  withdrawn.forgetThrough(isFirst, true);
  expect(withdrawn.take()).toEqual([]);
  // Also when it was put there as the next one's: a stop ends the turn before it empties Letta's list.
  const taken = held({ type: 'approvals-open', requestIds: [] });
  taken.putFirst([asked]);
  taken.forgetThrough(isFirst, true);
  expect(taken.take()).toEqual([{ type: 'approvals-open', requestIds: [] }]);
  const idle = held(asked, text('run-1'));
  idle.forgetThrough(isFirst, false);
  expect(idle.take()).toEqual([]);
});
