import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../../src/bridge/agent-event.ts';
import { fullText, shownRequest } from '../../../src/bridge/approvals/shown.ts';
import { bash } from './asking-people.ts';

const tool = (input: Record<string, unknown>, change: Partial<ApprovalRequest> = {}) =>
  bash('', { tool: 'Tool', input, ...change });

describe('what people are shown of a request', () => {
  it('is the command or path first, then every other field, the model’s account apart', () => {
    const shown = shownRequest(tool({ timeout: 5, command: 'ls', description: 'lists', deep: { a: [1] } }));
    expect(shown).toMatchObject({ subject: 'ls', description: 'lists', redacted: false, clipped: false });
    expect(shown.rest).toBe('timeout: 5\ndeep: {\n  "a": [\n    1\n  ]\n}');
  });

  it('can not be made to look like another field by line ends in a text', () => {
    const { rest } = shownRequest(tool({ content: 'harmless\ncommand: rm -rf /\u2028x: y' }));
    expect(rest.split('\n')).toEqual(['content:', '  │ harmless', '  │ command: rm -rf /', '  │ x: y']);
  });

  it('can not be made to look like another field by the name of one', () => {
    expect(shownRequest(tool({ 'a: b\nc': 1 })).rest).toBe('"a: b\\nc": 1');
  });

  it('says when something is not shown, wherever it stood', () => {
    const key = 'sk-proj-abcdefghijklmnop1234567890';
    for (const input of [{ command: `x ${key}` }, { a: { b: [key] } }, { description: key }, { api_token: 'x' }]) {
      const request = tool(input);
      expect(shownRequest(request).redacted).toBe(true);
      expect(fullText(request)).not.toContain(key);
    }
  });

  it('says that a description which is no text is a field like others', () => {
    expect(shownRequest(tool({ description: { evil: true } }))).toMatchObject({ description: null });
    expect(fullText(tool({ description: { evil: true } }))).toContain('"evil": true');
  });

  it('in full holds every text of the input that is no secret, whatever the input', () => {
    const words = fc.stringMatching(/^[a-z]{1,12}$/);
    fc.assert(
      fc.property(fc.dictionary(words, fc.oneof(words, fc.array(words), fc.integer())), (input) => {
        const request = tool(input);
        fc.pre(!shownRequest(request).redacted);
        const full = fullText(request);
        for (const value of Object.values(input).flat()) expect(full).toContain(String(value));
      }),
    );
  });
});
