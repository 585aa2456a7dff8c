import { describe, expect, it } from 'vitest';
import { takesHandedFile } from '../../../../src/bridge/approvals/auto-approval/handed-files.ts';

const decode = 'cat ~/in/a.zip.b64.1 | base64 -d > ~/in/a.zip';
const files = [{ path: '~/in/a.zip', at: 0, decode, pieces: 1 }];
const bash = (command: unknown, rest: object = {}) =>
  takesHandedFile({ tool: 'Bash', input: { command, ...rest } }, files);

describe('a call that takes a handed file', () => {
  it('reads exactly its path', () => {
    expect(takesHandedFile({ tool: 'Read', input: { file_path: '~/in/a.zip', limit: 5 } }, files)).toBe(true);
    for (const path of ['~/in/a.zipx', '~/in/../in/a.zip', '/root/in/a.zip', undefined]) {
      expect(takesHandedFile({ tool: 'Read', input: { file_path: path } }, files)).toBe(false);
    }
    expect(takesHandedFile({ tool: 'Write', input: { file_path: '~/in/a.zip' } }, files)).toBe(false);
  });

  it('runs the command letter by letter', () => {
    expect(bash(decode, { description: 'decode' })).toBe(true);
    for (const other of [
      `${decode} `,
      ` ${decode}`,
      `${decode}; ls`,
      decode.replace('cat', 'cat '),
      [decode],
      undefined,
    ]) {
      expect(bash(other)).toBe(false);
    }
  });

  it('has no unknown field and stays in the foreground', () => {
    expect(bash(decode, { run_in_background: true })).toBe(false);
    expect(bash(decode, { cwd: '/' })).toBe(false);
    expect(takesHandedFile({ tool: 'Bash', input: {} }, [{ path: '~/in/b', at: 0 }])).toBe(false);
  });
});
