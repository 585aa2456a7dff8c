import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApprovalRequest, FileDiff } from '../../../src/bridge/agent-event.ts';
import { approvalTitle } from '../../../src/bridge/approvals/answers.ts';
import { fullText, shownRequest } from '../../../src/bridge/approvals/shown.ts';
import { bash } from '../thread/approvals/asking-people.ts';

const tool = (input: Record<string, unknown>, change: Partial<ApprovalRequest> = {}) =>
  bash('', { tool: 'Tool', input, ...change });

describe('a request as people see it', () => {
  it('shows command or path first, then other fields, the description apart', () => {
    const shown = shownRequest(tool({ timeout: 5, command: 'ls', description: 'lists', deep: { a: [1] } }));
    expect(shown).toMatchObject({ subject: 'ls', description: 'lists', isRedacted: false, isClipped: false });
    expect(shown.rest).toBe('timeout: 5\ndeep: {\n  "a": [\n    1\n  ]\n}');
  });

  it('line end in a text: cannot look like another field', () => {
    const { rest } = shownRequest(tool({ content: 'harmless\ncommand: rm -rf /\u2028x: y' }));
    expect(rest.split('\n')).toEqual(['content:', '  │ harmless', '  │ command: rm -rf /', '  │ x: y']);
  });

  it("line end in a field's name: cannot look like another field", () => {
    expect(shownRequest(tool({ 'a: b\nc': 1 })).rest).toBe('"a: b\\nc": 1');
  });

  it('hides secrets in every field and says so', () => {
    const key = 'sk-proj-abcdefghijklmnop1234567890';
    for (const input of [{ command: `x ${key}` }, { a: { b: [key] } }, { description: key }, { api_token: 'x' }]) {
      const request = tool(input);
      expect(shownRequest(request).isRedacted).toBe(true);
      expect(fullText(request)).not.toContain(key);
    }
  });

  it('description that is no text: is shown as a field', () => {
    expect(shownRequest(tool({ description: { evil: true } }))).toMatchObject({ description: null });
    expect(fullText(tool({ description: { evil: true } }))).toContain('"evil": true');
  });

  it('full text: has every text of the input', () => {
    const words = fc.stringMatching(/^[a-z]{1,12}$/);
    fc.assert(
      fc.property(fc.dictionary(words, fc.oneof(words, fc.array(words), fc.integer())), (input) => {
        const request = tool(input);
        fc.pre(!shownRequest(request).isRedacted);
        const full = fullText(request);
        for (const value of Object.values(input).flat()) expect(full).toContain(String(value));
      }),
    );
  });
});

describe('a patch as people see it', () => {
  const input = [
    ...['*** Begin Patch', '*** Add File: ok.txt', '+fine', '*** Delete File: ../important.txt'],
    ...['*** Add File: /home/u/.ssh/authorized_keys', '+ssh-ed25519 AAAA me', '*** Update File: a.ts'],
    ...['*** Move to: src/b.ts', '@@', '-x', '+y', '*** End Patch'],
  ].join('\n');
  const diffs: FileDiff[] = [hunks('ok.txt', ['+fine']), hunks('authorized_keys', ['+ssh-ed25519 AAAA me'])];

  it('shows each file, its action and path, and the whole patch', () => {
    const shown = shownRequest(tool({ input }, { tool: 'ApplyPatch', diffs }), '/srv/project');
    expect(shown.files).toEqual([
      'add    ok.txt',
      'delete ../important.txt (/srv/important.txt)  ⚠️ outside the working directory',
      'add    /home/u/.ssh/authorized_keys  ⚠️ outside the working directory',
      'move   a.ts → src/b.ts',
    ]);
    expect(shown.diff).toBeNull();
    for (const line of input.split('\n')) expect(shown.rest).toContain(line);
  });

  it('marks a move out of the working directory', () => {
    const moved = '*** Begin Patch\n*** Update File: a.ts\n*** Move to: b/../../c.ts\n@@\n-x\n+y\n*** End Patch';
    expect(shownRequest(tool({ input: moved }, { tool: 'ApplyPatch' }), '/srv/project').files).toEqual([
      'move   a.ts → b/../../c.ts (/srv/c.ts)  ⚠️ outside the working directory',
    ]);
  });

  it('unreadable patch: shows its text with a warning', () => {
    for (const [field, text] of [
      ['input', '*** Begin Patch\n*** Chmod File: a\n*** End Patch'],
      ['input', 'rm -rf /'],
      ['patch', ''],
      ['other', 'x'],
    ] as const) {
      const shown = shownRequest(tool({ [field]: text }, { tool: 'ApplyPatch', diffs }));
      expect(shown.notes.join()).toContain('can’t read this as a patch');
      expect(shown.rest).toContain(text.split('\n')[1] ?? text);
    }
  });

  it("has its files in the card's title", () => {
    expect(approvalTitle(tool({ input }, { tool: 'ApplyPatch' }))).toMatch(
      /^add +ok\.txt, delete \.\.\/important\.txt/,
    );
  });
});

describe('a diff in place of a field', () => {
  const write = (content: string, lines: string[]) =>
    shownRequest(tool({ file_path: '/p/a.txt', content }, { tool: 'Write', diffs: [hunks('a.txt', lines)] }), '/p');
  const edit = (old_string: string, new_string: string, lines: string[], more = {}) =>
    shownRequest(
      tool(
        { file_path: '/p/a.txt', old_string, new_string, ...more },
        { tool: 'Edit', diffs: [hunks('a.txt', lines)] },
      ),
    );

  it('replaces a new text that it contains letter by letter', () => {
    expect(write('a\nb\n', ['+a', '+b'])).toMatchObject({ rest: '', notes: [] });
    expect(write('a\nb\n', ['-x', '+a', ' b'])).toMatchObject({ rest: '' });
    expect(write('a\nb', ['+a', '+b']).notes).toEqual(['content: as in the diff, without a line break at the end']);
  });

  it('does not replace text that it lacks', () => {
    expect(write('a\nb\nc\nrm -rf /\n', ['+a', ' b']).rest).toContain('rm -rf /');
    expect(write('a\nb\n\n', ['+a', '+b']).rest).toContain('a');
    expect(edit('x\ny\nz', 'w', ['-x', '+w']).rest).toContain('  │ z');
    expect(edit('x', 'w', ['-x', '+other']).rest).toBe('old_string: x\nnew_string: w');
    const other = tool({ file_path: '/p/a.txt', content: 'a\n' }, { tool: 'Write', diffs: [hunks('b.txt', ['+a'])] });
    expect(shownRequest(other).rest).toContain('content:');
    const two = [hunks('a.txt', ['+a']), hunks('a.txt', ['+a'])];
    expect(shownRequest(tool({ file_path: 'a.txt', content: 'a\n' }, { diffs: two })).rest).toContain('content:');
  });

  it("replaces an edit's strings; other fields are shown", () => {
    const shown = edit('red', 'blue', [' are', '-are red', '+are blue'], { replace_all: true, patch: 'p', edits: [1] });
    expect(shown.rest).toBe('replace_all: true\npatch: p\nedits: [\n  1\n]');
  });

  it('unavailable diff: replaces nothing', () => {
    const diffs: FileDiff[] = [{ kind: 'unavailable', fileName: 'a.txt', reason: 'old_string not found' }];
    const request = tool({ file_path: 'a.txt', old_string: 'x', new_string: 'rm' }, { tool: 'Edit', diffs });
    expect(fullText(request)).toContain('new_string: rm');
  });
});

describe('parts of a request that people could overlook', () => {
  it('several fields could name the command: shows each by name', () => {
    for (const input of [
      { command: 'ls', cmd: 'rm -rf /' },
      { file_path: 'a', path: '/etc/passwd' },
      { command: ['rm', '-rf', '/'], path: 'a' },
      { command: { rm: true }, cmd: 'ls' },
    ]) {
      const shown = shownRequest(tool(input));
      expect(shown.subject).toBe('');
      for (const name of Object.keys(input)) expect(shown.rest).toContain(`${name}: `);
    }
    expect(shownRequest(tool({ command: '', cmd: 'ls' }))).toMatchObject({ subject: 'ls', rest: 'command: ' });
  });

  it('long or multi-line description: is shown as a field', () => {
    for (const description of ['x'.repeat(400), 'a\nb', 'a\u2028b', '\u200b'.repeat(40)]) {
      const shown = shownRequest(tool({ command: 'ls', description }));
      expect(shown.description).toBeNull();
      expect(shown.rest).toMatch(/^description:/);
    }
    expect(shownRequest(tool({ description: 'delete all', issue: 7 })).rest).toContain('description: delete all');
  });

  it('path outside of the working directory: has a warning', () => {
    const outside = (file_path: string) => shownRequest(tool({ file_path }, { tool: 'Write' }), '/srv/project').notes;
    expect(outside('/etc/cron.d/x')).toEqual(['⚠️ outside the working directory: /etc/cron.d/x']);
    expect(outside('a/../../x')).toEqual(['⚠️ outside the working directory: a/../../x (/srv/x)']);
    expect(outside('~/.bashrc')).toHaveLength(1);
    expect(outside('/srv/project-2/x')).toHaveLength(1);
    for (const inside of ['a.ts', '/srv/project/a', 'a/../b', '..a']) expect(outside(inside)).toEqual([]);
    const onWindows = (file_path: string) => shownRequest(tool({ file_path }), 'C:\\src\\app').notes;
    expect(onWindows('..\\x')).toEqual(['⚠️ outside the working directory: ..\\x (C:\\src\\x)']);
    expect(onWindows('D:\\x')).toHaveLength(1);
    expect(onWindows('src\\x')).toEqual([]);
  });

  it('long tool name: the full text has all of it', () => {
    const name = `mcp__${'x'.repeat(100)}__delete_all`;
    expect(fullText(tool({}, { tool: name }))).toContain(name);
  });
});

function hunks(fileName: string, lines: string[]): FileDiff {
  const types = { '+': 'add', '-': 'remove', ' ': 'context' } as const;
  const parsed = lines.map((line) => ({ type: types[line[0] as keyof typeof types], content: line.slice(1) }));
  return { kind: 'hunks', fileName, hunks: [{ oldStart: 1, oldLines: 1, newStart: 1, newLines: 1, lines: parsed }] };
}
