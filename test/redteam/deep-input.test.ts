import { describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../src/bridge/agent-event.ts';
import { decode } from '../../src/letta/protocol/decode.ts';
import { approvalRequest } from '../../src/letta/runtime/translate.ts';
import { ask, bash, cards, click, lastCard, submit, told } from '../bridge/thread/approvals/asking-people.ts';
import { createRunning, type Middle } from '../support/middle.ts';

/** What a model nests deeper than any person reads is shown or refused: it ends nothing, and nobody waits for it. */

/** A request as it comes over the wire: no double of ours could write it. */
function asked(input: string, tool = 'mcp__x__y', more = ''): ApprovalRequest {
  const frame = `{"type":"control_request","request_id":"perm-1","request":{"tool_name":"${tool}","input":${input}${more}}}`;
  const decoded = decode(frame);
  if (decoded.kind !== 'known' || decoded.frame.type !== 'control_request') throw new Error(`it is ${decoded.kind}`);
  return approvalRequest('perm-1', decoded.frame.request);
}

const nested = (levels: number) => `{"a":${'{"a":['.repeat(levels)}"rm -rf /"${']}'.repeat(levels)}}`;

async function settled(middle: Middle, request: ApprovalRequest): Promise<void> {
  middle.connection.emit({
    type: 'tool-called',
    runId: 'run-1',
    callId: 'c',
    tool: request.tool,
    input: request.input,
  });
  await ask(middle, request);
}

describe('a deeply nested input', () => {
  it.each([10, 500, 1_650, 3_300])('%i times two levels: is shown and approved whole', async (levels) => {
    const middle = await createRunning();
    await settled(middle, asked(nested(levels)));
    const { shown } = lastCard(middle) as { shown: { isPartlyShown: boolean } };
    const opened = await click(middle, 'approve');
    if (shown.isPartlyShown) {
      expect(opened).toMatchObject({ modal: { approves: true, text: expect.stringContaining('rm -rf /') } });
      expect(await submit(middle, 'approve', [])).toEqual({ result: 'decided' });
    }
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
    expect(middle.audit.entries).toMatchObject([{ outcome: 'approved' }]);
  });

  it.each([6_000, 100_000])('%i times two levels: is denied; agent and thread hear why', async (levels) => {
    const middle = await createRunning();
    await settled(middle, asked(nested(levels)));
    expect(told(middle)).toEqual([
      { behavior: 'deny', message: expect.stringMatching(/nested more than 10,000 levels/) },
    ]);
    expect(middle.surface.said.map(({ text }) => text)).toEqual([
      expect.stringMatching(/denied it: it is nested more than/),
    ]);
    expect(lastCard(middle).state).toMatchObject({ state: 'closed', why: 'not_shown' });
    expect(middle.audit.entries).toMatchObject([{ outcome: 'not_shown' }]);
  });

  it('command: cannot be edited, as it could not be sent back', async () => {
    const middle = await createRunning();
    await settled(middle, asked(`{"command":"ls","deep":${nested(300)}}`, 'Bash'));
    expect(await click(middle, 'edit_command')).toMatchObject({ result: 'refused' });
  });

  it('question: is denied, as answers could not be sent back', async () => {
    const middle = await createRunning();
    const questions = '[{"question":"Which?","options":[{"label":"a"}]}]';
    await settled(middle, asked(`{"questions":${questions},"deep":${nested(300)}}`, 'AskUserQuestion'));
    expect(told(middle)).toMatchObject([{ behavior: 'deny' }]);
  });
});

describe('an input too long to read', () => {
  it('is denied with a reason', async () => {
    const middle = await createRunning();
    await settled(middle, bash('x'.repeat(210_000)));
    expect(told(middle)).toEqual([
      { behavior: 'deny', message: expect.stringMatching(/longer than 200,000 characters/) },
    ]);
  });
});

describe('an unusual input', () => {
  it.each([
    ['"rm -rf /"', 'arguments: rm -rf /'],
    ['["rm","-rf"]', '"rm"'],
    ['7', 'arguments: 7'],
    ['{"__proto__":{"command":"rm -rf /"}}', '"rm -rf /"'],
  ])('is shown in full: %s', async (input, words) => {
    const middle = await createRunning();
    await settled(middle, asked(input));
    expect(JSON.stringify(lastCard(middle))).toContain(JSON.stringify(words).slice(1, -1));
  });

  it('null or empty: gets a card', async () => {
    for (const input of ['null', '{}']) {
      const middle = await createRunning();
      await settled(middle, asked(input));
      expect(cards(middle)).toHaveLength(1);
    }
  });

  it('other fields malformed: gets a card', async () => {
    const middle = await createRunning();
    await settled(middle, asked('{}', 'x', ',"diffs":7,"permission_suggestions":{"a":1},"tool_call_id":[]'));
    expect(cards(middle)).toHaveLength(1);
  });
});
