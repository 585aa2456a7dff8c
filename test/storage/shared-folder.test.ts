import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSharedFolder } from '../../src/storage/shared-folder.ts';

function folder() {
  const home = mkdtempSync(join(tmpdir(), 'shared-folder-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return createSharedFolder(home, { isKnown: false });
}

async function* pieces(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

describe('the folder for files on this machine', () => {
  it('keeps a file for its user only, as its bytes came', async () => {
    const shared = folder();
    const path = await shared.write('conv-1', 'a.txt', pieces('ab', 'c'));
    expect([path, readFileSync(path, 'utf8')]).toEqual([join(shared.path, 'conv-1', 'a.txt'), 'abc']);
    expect([statSync(path).mode & 0o777, statSync(shared.path).mode & 0o777]).toEqual([0o600, 0o700]);
    await shared.write('conv-1', 'a.txt', pieces('new'));
    expect(readFileSync(path, 'utf8')).toBe('new');
  });

  it('download that breaks off: leaves nothing', async () => {
    const shared = folder();
    const broken = async function* () {
      yield Buffer.from('ab');
      throw new Error('cut');
    };
    await expect(shared.write('conv-1', 'a.txt', broken())).rejects.toThrow('cut');
    expect(readdirSync(join(shared.path, 'conv-1'))).toEqual([]);
  });

  it('probe: is there only while somebody looks', async () => {
    const shared = folder();
    const seen = await shared.probe('words', async (path) => readFileSync(path, 'utf8') === 'words');
    expect([seen, existsSync(shared.path)]).toEqual([true, false]);
  });

  it('clears what is old, and folders without files', async () => {
    const shared = folder();
    const old = await shared.write('conv-1', 'old.txt', pieces('x'));
    const fresh = await shared.write('conv-2', 'fresh.txt', pieces('x'));
    utimesSync(old, 1_000, 1_000);
    await shared.clear(2_000_000);
    expect([existsSync(join(shared.path, 'conv-1')), existsSync(fresh)]).toEqual([false, true]);
  });
});
