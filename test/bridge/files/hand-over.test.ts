import { describe, expect, it } from 'vitest';
import { FileHandOver, type HandOverParts } from '../../../src/bridge/files/hand-over.ts';
import { makeMessageKey } from '../../../src/bridge/ids.ts';
import type { FileRef } from '../../../src/bridge/inbound.ts';
import type { HandedFile, InboxItem } from '../../../src/bridge/record/thread-record.ts';
import { FILE_LIMITS } from '../../../src/bridge/turn/file-notes.ts';
import { createFakeClock } from '../../support/clock.ts';
import { silentLog } from '../../support/middle.ts';

const MIB = 1024 * 1024;
const TS = '1767603600.000100';
const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

const fileOf = (id: string, rest: Partial<FileRef> = {}): FileRef => ({
  ...{ id, name: `${id}.bin`, mimetype: null, size: null },
  ...rest,
});

function itemOf(...files: FileRef[]): InboxItem {
  const key = makeMessageKey({ team: 'T1', channel: 'C1', ts: TS });
  return { key, ts: TS, user: 'U1', spans: [], files, receivedAt: 0 };
}

interface Options {
  /** The content of a file by its id; a number: so many bytes that are no text. */
  content?: (id: string) => AsyncIterable<Uint8Array>;
  writes?: (path: string) => Promise<boolean>;
  parts?: Partial<HandOverParts>;
}

async function* zeros(bytes: number) {
  for (let left = bytes; left > 0; left -= MIB) yield new Uint8Array(Math.min(left, MIB));
}

function create({ content = () => zeros(10), writes = async () => true, parts = {} }: Options = {}) {
  const clock = createFakeClock();
  const written = new Map<string, string>();
  const connection = {
    async writeFile(path: string, text: string) {
      written.set(path, text);
      return writes(path);
    },
    readFile: async () => null as string | null,
  };
  const open = async (file: FileRef) => ({ file, bytes: content(file.id) });
  const shared = { clock, random: { next: () => 0, id: () => 'words' }, log: silentLog, keptMs: 1_000 };
  const over = new FileHandOver({ files: { open }, ...shared, ...parts });
  const machine = { connection, id: 'device', conversation: 'conv-1' };
  const stop = new AbortController();
  const run = async (...items: InboxItem[]) => {
    const { notes, ...rest } = await over.handOver(items, machine, stop.signal);
    return { ...rest, notes: [...notes.values()].flat() };
  };
  return { clock, written, connection, over, machine, stop, run };
}

describe('handing files over', () => {
  it('base64 in pieces: is the file again when joined', async () => {
    const bytes = Uint8Array.from({ length: 7 * MIB + 5 }, (_, at) => (at * 31) % 256);
    const chunks = async function* () {
      for (let at = 0; at < bytes.length; at += 100_001) yield bytes.subarray(at, at + 100_001);
    };
    const { run, written } = create({ content: chunks });
    const { notes, handed } = await run(itemOf(fileOf('F1')));
    const pieces = [...written.values()];
    expect(pieces.map(({ length }) => length <= 4 * MIB)).toEqual([true, true, true]);
    expect(Buffer.from(pieces.join(''), 'base64').equals(bytes)).toBe(true);
    expect(notes).toMatchObject([{ how: 'file', bytes: bytes.length, decode: handed[0]?.decode }]);
    expect(handed).toMatchObject([{ pieces: 3 }]);
  });

  it('again for the same message: has the same names', async () => {
    const { run, written } = create();
    await run(itemOf(fileOf('F1')));
    const names = [...written.keys()];
    await run(itemOf(fileOf('F1')));
    expect([...written.keys()]).toEqual(names);
  });

  it('pictures beyond eight, or beyond a frame: go to the machine', async () => {
    const big = async function* () {
      yield PNG;
      yield new Uint8Array(4 * MIB);
    };
    const small = async function* () {
      yield PNG;
    };
    const { run } = create({ content: (id) => (id.startsWith('B') ? big() : small()) });
    const { notes, images } = await run(
      itemOf(fileOf('B1'), fileOf('B2'), ...'abcdefghi'.split('').map((n) => fileOf(n))),
    );
    expect(notes.map(({ how }) => how === 'image')).toEqual([true, false, ...Array(7).fill(true), false, false]);
    expect(JSON.stringify(images).length).toBeLessThan(8 * MIB);
  });

  it('larger than announced: ends while it comes', async () => {
    let read = 0;
    const endless = async function* () {
      for (;;) {
        read += MIB;
        yield new Uint8Array(MIB);
      }
    };
    const { run } = create({ content: endless });
    expect((await run(itemOf(fileOf('F1')))).notes).toMatchObject([{ how: 'missing', why: 'too_large' }]);
    expect(read).toBeLessThanOrEqual(FILE_LIMITS.bytes + 2 * MIB);
  });

  it('more than 20 files: the rest is named', async () => {
    const files = Array.from({ length: 22 }, (_, at) => fileOf(`F${at}`));
    const { notes } = await create().run(itemOf(...files));
    expect(notes.filter((note) => note.how === 'missing' && note.why === 'too_many')).toHaveLength(2);
  });

  it('machine refuses it: short text is in the prompt anyway', async () => {
    const text = async function* () {
      yield Buffer.from('hello');
    };
    const refuses = { writes: async () => false };
    expect((await create({ content: text, ...refuses }).run(itemOf(fileOf('F1')))).notes).toMatchObject([
      { how: 'text', text: 'hello' },
    ]);
    expect((await create(refuses).run(itemOf(fileOf('F1')))).notes).toMatchObject([{ how: 'missing', why: 'device' }]);
  });

  it('download that hangs: the turn goes on without it', async () => {
    const hangs = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) });
    const { run, clock } = create({ content: hangs });
    const running = run(itemOf(fileOf('F1'), fileOf('F2'), fileOf('F3'), fileOf('F4')));
    await clock.advance(121_000);
    expect((await running).notes.map((note) => note.how === 'missing' && note.why)).toEqual(Array(4).fill('slow'));
  });

  it('Stop: rejects at once, and the next file may begin', async () => {
    const hangs = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) });
    const { run, stop, clock } = create({ content: hangs });
    const running = run(itemOf(fileOf('F1')));
    await clock.settle();
    stop.abort(new Error('stopped'));
    await expect(running).rejects.toThrow('stopped');
  });

  it('of many threads: four at once', async () => {
    let open = 0;
    let most = 0;
    const counted = async function* () {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      yield new Uint8Array(9);
      open -= 1;
    };
    const { run } = create({ content: counted });
    await Promise.all(Array.from({ length: 12 }, (_, at) => run(itemOf(fileOf(`F${at}`)))));
    expect(most).toBe(4);
  });

  it('kept long enough: text and base64 are emptied', async () => {
    const { over, machine, written, clock } = create();
    const at = clock.now() - 2_000;
    const old: HandedFile[] = [
      { path: '~/a.txt', at },
      { path: '~/b.zip', at, decode: 'cat', pieces: 2 },
    ];
    const fresh: HandedFile = { path: '~/c.txt', at: clock.now() };
    expect(await over.clear([...old, fresh], machine)).toEqual(['~/a.txt', '~/b.zip']);
    expect([...written]).toEqual([
      ['~/a.txt', ''],
      ['~/b.zip.b64.1', ''],
      ['~/b.zip.b64.2', ''],
    ]);
  });
});
