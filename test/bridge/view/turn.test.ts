import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentEvent, ApprovalRequest } from '../../../src/bridge/agent-event.ts';
import { makeToken } from '../../../src/bridge/ids.ts';
import type { ApprovalRecord } from '../../../src/bridge/record/thread-record.ts';
import { mergeHistory } from '../../../src/bridge/turn/after-reconnect.ts';
import { emptyTurn, foldTurn, lastSaidMessageId, type TurnState } from '../../../src/bridge/turn/fold.ts';
import { endingOf } from '../../../src/bridge/view/ending.ts';
import { turnView } from '../../../src/bridge/view/turn.ts';
import { renderPosts } from '../../../src/slack/render/posts.ts';
import { approvalRecord, openTurn } from '../../support/records.ts';

const said = (messageId: string): AgentEvent => ({ type: 'text', runId: 'r', messageId, text: `${messageId}.` });
const request = (requestId: string): ApprovalRequest => ({
  requestId,
  callId: requestId,
  tool: 'Bash',
  input: { command: requestId },
  diffs: [],
  suggestions: [],
  questions: null,
});
const asks = (requestId: string): AgentEvent => ({ type: 'approval-asked', request: request(requestId) });
const folded = (events: AgentEvent[]) => events.reduce(foldTurn, emptyTurn);
const record = (n: number, change: Partial<ApprovalRecord> = {}) => approvalRecord(n, change);

/** Texts, and cards by their tokens, in reading order. */
function order(state: TurnState, approvals: ApprovalRecord[], textUnknown = false): string[] {
  const view = turnView(state, {
    address: { team: 'T01', channel: 'C01', threadTs: '1.000001' },
    turn: openTurn(1, { state: 'submitted' }),
    approvals,
    textUnknown,
    where: { workingDirectory: null, device: null },
    now: 0,
    queued: 0,
    hold: null,
    ending: null,
  });
  return view.items.map((item) => {
    if (item.kind === 'joined') return `joined ${item.messages.join()}`;
    return item.kind === 'text' ? item.markdown : item.card.token;
  });
}

describe('a turn that Letta began by itself', () => {
  const view = (origin: 'agent' | 'people', state: TurnState, textUnknown = false) => {
    const turn = { ...openTurn(1, { state: 'submitted' }), origin, items: [] };
    const ending = { ...endingOf(turn, state, 10, { approvals: [], isAllHeard: true }), by: null };
    const where = { workingDirectory: null, device: null };
    const address = { team: 'T01', channel: 'C01', threadTs: '1.000001' };
    return turnView(state, { address, turn, approvals: [], textUnknown, where, now: 0, queued: 0, hold: null, ending });
  };

  it('said and did nothing: is not shown', () => {
    expect(view('agent', emptyTurn).isVoid).toBe(true);
    expect(renderPosts(view('agent', emptyTurn))).toEqual([]);
  });

  it('said something, may have, or failed: is shown', () => {
    expect(view('agent', folded([said('a')])).isVoid).toBeUndefined();
    expect(view('agent', emptyTurn, true).isVoid).toBeUndefined();
    const failed = folded([{ type: 'turn-ended', runId: 'r', stopReason: 'error' } as AgentEvent]);
    expect(view('agent', failed).isVoid).toBeUndefined();
    expect(view('people', emptyTurn).isVoid).toBeUndefined();
  });
});

describe('the question of a turn', () => {
  const turn = openTurn(1, { state: 'submitted' });
  const items = (...texts: string[]) =>
    texts.flatMap((text) => turn.items.map((item) => ({ ...item, spans: [{ kind: 'text' as const, text }] })));
  const view = (change: Partial<typeof turn>, events: AgentEvent[] = [], isOver = false, textUnknown = false) => {
    const state = folded(events);
    const asked = { ...turn, ...change };
    return turnView(state, {
      address: { team: 'T01', channel: 'C01', threadTs: '1.000001' },
      turn: asked,
      approvals: [],
      textUnknown,
      where: { workingDirectory: null, device: null },
      now: 0,
      queued: 0,
      hold: null,
      ending: isOver ? endingOf(asked, state, 10, { approvals: [], isAllHeard: true }) : null,
    });
  };

  it('is its first message with words, in one short line without secrets', () => {
    expect(view({ items: items('is the nightly\nbuild green?', 'and more') }).answers).toBe(
      'is the nightly build green?',
    );
    expect(view({ items: items(' ', 'second') }).answers).toBe('second');
    expect(view({ items: items('x'.repeat(500)) }).answers).toHaveLength(60);
    expect(view({ items: items('key npm_3xAmPl3xAmPl3xAmPl3xAmPl3xAmPl3xAmPl') }).answers).not.toContain('npm_3');
  });

  it('leaves the mention of the bot out', () => {
    const [item] = items(' : why?');
    const spans = [{ kind: 'user' as const, id: 'U0BOT' }, ...(item?.spans ?? [])];
    expect(view({ items: turn.items.map((each) => ({ ...each, spans })) }).answers).toBe('why?');
  });

  it('has no words: empty; Letta began the turn: left out', () => {
    expect(view({ items: items('') }).answers).toBe('');
    expect(view({ origin: 'agent', items: [] }).answers).toBeUndefined();
  });

  it('ended: knows how the last message begins, if all is known', () => {
    const events = [said('first'), said('second')];
    expect(view({}, events, true).conclusion).toBe('second.');
    expect(view({}, events, true, true).conclusion).toBeUndefined();
    expect(view({}, events).conclusion).toBeUndefined();
  });
});

describe('the place of a card', () => {
  it('is where the agent asked', () => {
    const state = folded([said('a'), asks('request-1'), said('b')]);
    expect(order(state, [record(1)])).toEqual(['a.', 'approve1', 'b.']);
  });

  it('after a restart: below the text before it, wherever Letta asks again', () => {
    const state = mergeHistory(folded([asks('request-1')]), {
      arrived: true,
      texts: ['a', 'b'].map((messageId) => ({ messageId, text: `${messageId}.` })),
      callIds: [],
      answered: false,
    });
    expect(order(state, [record(1, { after: 'a' })])).toEqual(['a.', 'approve1', 'b.']);
    expect(order(state, [record(1, { after: 'b' })])).toEqual(['a.\n\nb.', 'approve1']);
  });

  it('request unknown to Letta: stays below the text before it', () => {
    const state = folded([said('a'), said('b')]);
    expect(order(state, [record(1, { after: 'a' })])).toEqual(['a.', 'approve1', 'b.']);
    expect(order(state, [record(1, { after: null })])).toEqual(['approve1', 'a.\n\nb.']);
  });

  it('text before it unknown: first', () => {
    const state = folded([said('b')]);
    expect(order(state, [record(1, { after: 'a' })], true)).toEqual(['approve1', 'b.']);
    expect(order(state, [record(1)], true)).toEqual(['approve1', 'b.']);
  });

  it('is never above an earlier card', () => {
    const state = folded([said('a'), said('b')]);
    expect(order(state, [record(1, { after: 'a' }), record(2)])).toEqual(['a.', 'approve1', 'approve2', 'b.']);
  });

  it('same request id as an earlier card: the later place', () => {
    const state = folded([asks('same'), { type: 'approvals-open', requestIds: [] }, said('b'), asks('same')]);
    const both = [record(1, { requestId: 'same' }), record(2, { requestId: 'same' })];
    expect(order(state, both)).toEqual(['approve1', 'b.', 'approve2']);
    const restarted = folded([said('b'), asks('same')]);
    expect(order(restarted, both)).toEqual(['approve1', 'b.', 'approve2']);
  });

  it('asked again after it was settled: does not move', () => {
    const state = folded([asks('one'), { type: 'approvals-open', requestIds: [] }, said('b'), asks('one')]);
    expect(order(state, [record(1, { requestId: 'one' })])).toEqual(['approve1', 'b.']);
  });

  it('is the same after a restart, for any texts and requests', () => {
    const step = fc.constantFrom('say', 'say more', 'ask');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let state = emptyTurn;
        const approvals: ApprovalRecord[] = [];
        for (const [n, each] of steps.entries()) {
          const known = lastSaidMessageId(state);
          if (each === 'ask') {
            const requestId = `request-${n}`;
            approvals.push(record(n, { token: makeToken(`card-${n}`), requestId, after: known }));
            state = foldTurn(state, asks(requestId));
          } else state = foldTurn(state, said(each === 'say' || known === null ? `m${n}` : known));
        }
        const texts = state.parts.flatMap((part) => (part.kind === 'text' ? [part] : []));
        // The last one only is asked again.
        const last = approvals.at(-1);
        const anew = last ? foldTurn(emptyTurn, asks(last.requestId)) : emptyTurn;
        const restarted = mergeHistory(anew, { arrived: true, texts, callIds: [], answered: false });
        expect(order(restarted, approvals)).toEqual(order(state, approvals));
      }),
    );
  });
});
