import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeThreadKey } from '../../src/bridge/ids.ts';
import { recordIn } from '../../src/storage/recordings.ts';
import { silentLog } from '../support/middle.ts';
import { until } from '../support/until.ts';

const key = makeThreadKey({ team: 'T1', channel: 'C1', root: '1.1' });
const file = 'T1_C1_1.1.jsonl';
let folder: string;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'recordings-')), 'inside');
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }));

const read = (name: string) => {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch {
    return '';
  }
};

it('a recording: begins with what is known, for its owner alone', async () => {
  const recordings = recordIn(folder, silentLog);
  for (const line of ['one', 'two']) recordings.add(key, line, () => 'begin', false);
  recordings.add(key, 'three', () => 'anew', true);
  await until(
    () => read(file).endsWith('three\n'),
    () => read(file),
  );
  expect(read(file)).toBe('begin\none\ntwo\nanew\nthree\n');
  if (process.platform !== 'win32') expect(statSync(join(folder, file)).mode & 0o77).toBe(0);
});

it('a long recording: goes on in a new file, keeps the last', async () => {
  const recordings = recordIn(folder, silentLog);
  for (let n = 0; n < 5; n += 1) recordings.add(key, `${n}`.repeat(3_000_000), () => 'begin', false);
  await until(
    () => read(file).includes('4'),
    () => read(file).slice(0, 100),
  );
  expect(read(file).startsWith('begin\n3')).toBe(true);
  expect(read('T1_C1_1.1.before.jsonl').startsWith('begin\n0')).toBe(true);
  expect(readdirSync(folder)).toHaveLength(2);
});

it('flushed: has every line, also those that came while others were written', async () => {
  const recordings = recordIn(folder, silentLog);
  for (let n = 0; n < 100; n += 1) recordings.add(key, `${n}`, () => 'begin', false);
  setImmediate(() => recordings.add(key, 'late', () => 'begin', false));
  await new Promise((resolve) => setImmediate(resolve));
  await recordings.flush();
  expect(read(file)).toBe(['begin', ...Array.from({ length: 100 }, (_, n) => `${n}`), 'late', ''].join('\n'));
});
