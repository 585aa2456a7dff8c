import { describe, expect, it } from 'vitest';
import { readPatch } from '../../../src/bridge/approvals/patch.ts';

const patch = (...lines: string[]) => ['*** Begin Patch', ...lines, '*** End Patch'].join('\n');
const told = (text: string) =>
  readPatch(text)?.map(({ action, path, to }) => [action, path, ...(to === null ? [] : [to])].join(' ')) ?? null;

describe('a patch of Letta’s Codex toolset', () => {
  it('names every file with its action', () => {
    const text = patch(
      ...['*** Add File: ok.txt', '+fine', '*** Delete File: ../important.txt', '*** Update File: src/a.ts'],
      ...['*** Move to: /home/u/.ssh/authorized_keys', '@@ class A', ' keep', '-old', '+new', '*** End of File'],
      ...['*** Update File: b.ts', ' context', '', '-gone', '@@', '+more'],
    );
    expect(told(text)).toEqual([
      'add ok.txt',
      'delete ../important.txt',
      'move src/a.ts /home/u/.ssh/authorized_keys',
      'update b.ts',
    ]);
    expect(told(text.replaceAll('\n', '\r\n'))).toHaveLength(4);
    expect(told(`<<'EOF'\n${text}\nEOF`)).toHaveLength(4);
  });

  it('header with blanks around it: counts, as it does in Letta', () => {
    expect(told(patch('*** Add File: a', '+x', '   *** Delete File: /etc/passwd  '))).toEqual([
      'add a',
      'delete /etc/passwd',
    ]);
  });

  it('line of a hunk that looks like a header: does not count', () => {
    expect(told(patch('*** Update File: a', '@@', ' *** Delete File: b', '+*** Add File: c'))).toEqual(['update a']);
  });

  it.each([
    ['a line that is none of a patch', patch('*** Update File: a', '@@', '-x', 'rm -rf /')],
    ['an unknown header', patch('*** Chmod File: a')],
    ['no path', patch('*** Delete File:  ')],
    ['words before it', `please\n${patch('*** Delete File: a')}`],
    ['no end', '*** Begin Patch\n*** Delete File: a'],
    ['nothing', patch()],
    ['nothing at all', ''],
  ])('is not read when it has %s', (_, text) => {
    expect(readPatch(text)).toBeNull();
  });
});

describe('a unified diff', () => {
  it('names every file with its action', () => {
    const text = [
      ...['diff --git a/x.ts b/x.ts', '--- a/x.ts', '+++ b/x.ts', '@@ -1,2 +1,2 @@', ' keep', '--- a/not-a-header'],
      ...['+++ b/neither', 'diff --git a/old b/old', 'deleted file mode 100644', '--- a/old', '+++ /dev/null'],
      ...['@@ -1 +0,0 @@', '-bye', 'diff --git a/n b/n', 'new file mode 100755', '--- /dev/null', '+++ b/n'],
      ...['@@ -0,0 +1 @@', '+hi', 'diff --git a/p b/q', 'rename from p', 'rename to q'],
      ...['--- /tmp/one\t2026-01-01', '+++ /etc/two\t2026-01-01', '@@ -1 +1 @@', '-a', '+b'],
      ...['diff --git a/pic b/pic', 'Binary files a/pic and b/pic differ'],
    ].join('\n');
    expect(told(text)).toEqual([
      'update x.ts',
      'delete old',
      'add n',
      'move p q',
      'move /tmp/one /etc/two',
      'update pic',
    ]);
  });

  it('hunk longer than its header says: the diff is not read', () => {
    const text = ['--- a/x', '+++ b/x', '@@ -1,99 +1,99 @@', '-a', '+b', 'diff --git a/y b/y', '--- a/y', '+++ b/y'];
    expect(readPatch(text.join('\n'))).toBeNull();
  });
});
