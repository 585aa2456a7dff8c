import type { KnownBlock } from '@slack/types';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffHunks as hunksOf } from '../../sandbox/letta/diff.ts';
import type { ApprovalRequest, FileDiff } from '../../src/bridge/agent-event.ts';
import { fullText, shownRequest } from '../../src/bridge/approvals/shown.ts';
import { makeToken } from '../../src/bridge/ids.ts';
import type { ApprovalCard } from '../../src/bridge/view/turn.ts';
import { parseActionId } from '../../src/slack/render/action-ids.ts';
import { approvalCard } from '../../src/slack/render/approval-blocks.ts';
import { neutralizePlain } from '../../src/slack/render/neutralize.ts';
import { runs } from '../support/runs.ts';

/**
 * Whatever a tool is called and its input is: what it would do stands on its card, or the card says what does not and
 * is approved only in the window that shows all of it.
 */

/** Letters that no secret consists of: what is hidden is another matter (redaction.test.ts). */
const letters = fc.stringMatching(/^[ g-z!.,:;/$<>|&(){}[\]"'`\\+*@-]{0,24}$/);
const text = fc.oneof(
  letters,
  fc.array(letters, { maxLength: 6 }).map((lines) => lines.join('\n')),
  fc.constantFrom('', '..', '../../x', '/etc/passwd', '~', '\u202e', '\u200b', '\u2028', '\r', '漢'),
  letters.map((some) => some.repeat(300)),
);
const path = fc.oneof(fc.constantFrom('a.txt', '/p/a.txt', '../a.txt', '/etc/cron.d/job', '~/.ssh/keys'), text);
const anything = fc.oneof(text, text, fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme-ascii' }));

/** What each toolset of Letta calls its fields, and what no toolset does. */
const FIELDS = [
  ...['command', 'cmd', 'file_path', 'path', 'notebook_path', 'url', 'content', 'old_string', 'new_string'],
  ...['replace_all', 'edits', 'patch', 'input', 'diff', 'description', 'prompt', 'workdir', 'chars', 'session_id'],
  ...['reason', 'subagent_type', 'timeout', 'a', 'A', '__proto__', 'constructor', 'a b', 'x: y\nz', ''],
];
const inputs = fc.array(fc.tuple(fc.constantFrom(...FIELDS), anything), { maxLength: 6 }).map(ownFields);

const TOOLS = [
  ...['Bash', 'exec_command', 'write_stdin', 'Write', 'Edit', 'MultiEdit', 'ApplyPatch', 'memory_apply_patch', 'Task'],
  ...['Read', 'Grep', 'Monitor', 'Workflow', 'memory', 'slack_react', 'mcp__jira__create', 'x'.repeat(120)],
];

const patches = fc
  .array(
    fc.tuple(fc.constantFrom('Add', 'Delete', 'Update'), path, letters).map(([kind, name, words]) => {
      if (kind === 'Delete') return `*** Delete File: ${name}`;
      return kind === 'Add' ? `*** Add File: ${name}\n+${words}` : `*** Update File: ${name}\n@@\n-${words}\n+new`;
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((files) => ['*** Begin Patch', ...files, '*** End Patch'].join('\n'));

const requests: fc.Arbitrary<ApprovalRequest> = fc.oneof(
  fc.tuple(fc.constantFrom(...TOOLS), inputs).map(([tool, input]) => request(tool, input)),
  fc.tuple(path, text, text, inputs).map(([file_path, before, content, more]) => {
    return request('Write', { file_path, content, ...more }, [diffOf(file_path, before, content)]);
  }),
  fc.tuple(path, text, text, text, text).map(([file_path, head, old_string, new_string, tail]) => {
    const diff = diffOf(file_path, head + old_string + tail, head + new_string + tail);
    return request('Edit', { file_path, old_string, new_string }, [diff]);
  }),
  // A diff of something else: of a file that changed meanwhile, or of none.
  fc
    .tuple(fc.constantFrom('Write', 'Edit', 'ApplyPatch', 'x'), inputs, path, text, text)
    .map(([tool, input, ...of]) => {
      return request(tool, input, [diffOf(...of)]);
    }),
  fc.tuple(patches, inputs).map(([input, more]) => request('ApplyPatch', { ...more, input })),
);

describe('an approval request', () => {
  it('its full view has every letter of every input', () => {
    fc.assert(
      fc.property(requests, (asked) => {
        fc.pre(!shownRequest(asked).isRedacted);
        const full = fullText(asked, '/p');
        for (const [field, value] of Object.entries(asked.input)) {
          for (const piece of piecesOf(value)) expect(full).toContain(piece);
          if (!inDiffOrFirst(field)) expect(full).toContain(/^[\w.-]+$/.test(field) ? field : JSON.stringify(field));
        }
      }),
      { numRuns: runs(1_500) },
    );
  });

  it('its card shows every letter, or leads to the full view', () => {
    fc.assert(
      fc.property(requests, (asked) => {
        const shown = shownRequest(asked, '/p');
        fc.pre(!shown.isRedacted);
        const { blocks } = approvalCard(cardFor(asked));
        const words = textsOf(blocks).join('\n');
        const labels = buttonsOf(blocks);
        if (shown.isClipped) {
          expect(words).toContain('shows all of it');
          expect(labels).toContain('Review and approve');
          expect(labels).not.toContain('Approve');
        } else {
          for (const piece of Object.values(asked.input).flatMap(piecesOf)) {
            // A file inside the working directory is named from there on, and the card names the directory.
            const isInHead = shown.file !== null && piece === `/p/${shown.file}` && words.includes(`${shown.file}\n?`);
            if (isInHead) expect(words.split('\n')).toContain('/p');
            else expect(words).toContain(neutralizePlain(piece));
          }
        }
      }),
      { numRuns: runs(1_500) },
    );
  });

  it('patch: every file is named with its whole path', () => {
    fc.assert(
      fc.property(patches, (patch) => {
        const asked = request('ApplyPatch', { input: patch });
        const { files, notes, isRedacted } = shownRequest(asked, '/p');
        fc.pre(!isRedacted && notes.length === 0);
        const paths = patch.split('\n').flatMap((line) => /^\*\*\* \w+ File: (.+)$/.exec(line)?.[1] ?? []);
        expect(files).toHaveLength(paths.length);
        paths.forEach((name, at) => {
          const line = files[at] ?? '';
          expect(line.includes(name.trimEnd()) || line.includes(JSON.stringify(name.trimEnd()))).toBe(true);
        });
      }),
      { numRuns: runs(500) },
    );
  });
});

function request(tool: string, input: Record<string, unknown>, diffs: FileDiff[] = []): ApprovalRequest {
  return { requestId: 'r', callId: null, tool, input, diffs, suggestions: [], questions: null };
}

function ownFields(fields: [string, unknown][]): Record<string, unknown> {
  return Object.fromEntries(fields);
}

function diffOf(file: string, before: string, after: string): FileDiff {
  const hunks = hunksOf(before, after).map((hunk) => ({ ...hunk, lines: [...hunk.lines] }));
  return { kind: 'hunks', fileName: file.slice(file.lastIndexOf('/') + 1), hunks };
}

/** The lines of a text; of anything else, what JSON makes of it without blanks between. */
function piecesOf(value: unknown): string[] {
  if (typeof value === 'string') return value.split(/\r\n|[\n\r\u2028\u2029]/);
  if (Array.isArray(value)) return value.flatMap(nested);
  if (typeof value === 'object' && value !== null) return Object.entries(value).flat().flatMap(nested);
  return [String(value)];
}

function nested(value: unknown): string[] {
  return typeof value === 'string' ? [JSON.stringify(value)] : piecesOf(value);
}

const inDiffOrFirst = (field: string) =>
  /^(?:command|cmd|file_path|path|notebook_path|url|content|old_string|new_string|description)$/.test(field);

function cardFor(asked: ApprovalRequest): ApprovalCard {
  return {
    kind: 'approval',
    token: makeToken('token'),
    tool: asked.tool,
    startsAgent: null,
    title: 'title',
    shown: shownRequest(asked, '/p'),
    asks: [],
    workingDirectory: '/p',
    device: null,
    offers: { edit: false, grant: null, rule: false },
    stop: null,
    expiresAt: null,
    state: { state: 'open' },
  };
}

function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsOf);
  if (typeof value !== 'object' || value === null) return [];
  const { text: words, elements } = value as { text?: unknown; elements?: unknown };
  return [...(typeof words === 'string' ? [words] : textsOf(words)), ...textsOf(elements)];
}

function buttonsOf(blocks: KnownBlock[]): string[] {
  const elements = blocks.flatMap((block) => (block.type === 'actions' ? block.elements : []));
  return elements.flatMap((element) =>
    element.type === 'button' && parseActionId(element.action_id ?? '')?.name === 'approve' ? [element.text.text] : [],
  );
}
