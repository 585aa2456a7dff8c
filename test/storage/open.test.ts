import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { BridgeError } from '../../src/errors.ts';
import { openStore, type Store } from '../../src/storage/open.ts';
import { openDatabase } from '../../src/storage/sqlite.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { threadKeyOf, threadRecord } from '../support/records.ts';

const KEY = threadKeyOf(1);
let folder: string;
let stores: Store[];
let children: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bridge-open-'));
  stores = [];
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const store of stores) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(uri: string, clock = createFakeClock(), log = createMemoryLog()): Promise<Store> {
  const store = await openStore(uri, { clock, log });
  stores.push(store);
  return store;
}

async function refusal(promise: Promise<unknown>): Promise<BridgeError> {
  const error = await promise.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof BridgeError) return error;
  throw error;
}

/** Another process that opens the store with the real clock, says so, and stays. @param then what it does next */
function startOwner(path: string, then = ''): ChildProcess {
  const script = `
    import { openStore } from ${JSON.stringify(new URL('../../src/storage/open.ts', import.meta.url).href)};
    import { systemClock as clock } from ${JSON.stringify(new URL('../../src/clock.ts', import.meta.url).href)};
    const log = { debug() {}, info() {}, warn(_, message) { console.log(message) }, error() {}, child() { return log } };
    const store = await openStore(${JSON.stringify(`sqlite://${path}`)}, { clock, log });
    console.log('open');
    process.stdin.resume();
    ${then}
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

/** Resolves when the process has printed `what`; rejects when it ends before. */
function says(child: ChildProcess, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout?.on('data', (chunk) => {
      said += String(chunk);
      if (said.includes(what)) resolve();
    });
    child.once('exit', () => reject(new Error(`the process ended without saying "${what}": ${said}`)));
  });
}

describe('openStore', () => {
  it('makes the folder, and a file that only its owner may read', async () => {
    const path = join(folder, 'deep', 'er', 'bridge.db');
    const store = await open(`sqlite://${path}`);
    await store.threads.update(KEY, () => threadRecord(KEY));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
  });

  it('makes every file for its owner only, in an existing folder too', async () => {
    chmodSync(folder, 0o755);
    const path = join(folder, 'bridge.db');
    const store = await open(`sqlite://${path}`);
    await store.threads.update(KEY, () => threadRecord(KEY));
    const modes = readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]);
    expect(Object.fromEntries(modes)).toEqual({
      'bridge.db': '600',
      'bridge.db-shm': '600',
      'bridge.db-wal': '600',
      'bridge.db.lock': '600',
      'bridge.db.lock-journal': '600',
      'bridge.db.owner': '600',
    });
  });

  it('tightens files that others may open, and warns', async () => {
    const path = join(folder, 'bridge.db');
    const first = await open(`sqlite://${path}`);
    await first.threads.update(KEY, () => threadRecord(KEY));
    // As a kill leaves them, under a loose umask.
    for (const suffix of ['', '-wal', '-shm', '.owner'])
      copyFileSync(`${path}${suffix}`, join(folder, `old.db${suffix}`));
    writeFileSync(join(folder, 'old.db.lock'), '');
    for (const name of readdirSync(folder).filter((each) => each.startsWith('old')))
      chmodSync(join(folder, name), 0o644);

    const log = createMemoryLog();
    const store = await open(`sqlite://${join(folder, 'old.db')}`, createFakeClock(), log);
    expect(await store.threads.load(KEY)).not.toBeNull();
    for (const name of readdirSync(folder))
      expect([name, statSync(join(folder, name)).mode & 0o077]).toEqual([name, 0]);
    const said = log.lines.map(({ level, fields }) => [level, fields.path, fields.was]);
    expect(said).toContainEqual(['warn', join(folder, 'old.db'), '0644']);
    expect(said).toHaveLength(5);
  });

  it('keeps its lock while another process tightens the lock file', async () => {
    const path = join(folder, 'bridge.db');
    await open(`sqlite://${path}`);
    chmodSync(`${path}.lock`, 0o644);
    const other = startOwner(path);
    await says(other, 'waiting for it to stop');
    expect(statSync(`${path}.lock`).mode & 0o777).toBe(0o600);
    expect(other.exitCode).toBeNull();
  });

  it('keeps threads and choices over a restart', async () => {
    const uri = `sqlite://${join(folder, 'bridge.db')}`;
    const first = await open(uri);
    const stored = await first.threads.update(KEY, () => threadRecord(KEY));
    await first.choices.set('agent', 'agent-1');
    await first.close();
    const second = await open(uri);
    expect(await second.threads.load(KEY)).toEqual(stored);
    expect(await second.choices.get('agent')).toBe('agent-1');
  });

  it('keeps nothing in memory:// after its own life', async () => {
    const first = await open('memory://');
    await first.threads.update(KEY, () => threadRecord(KEY));
    expect(await first.threads.load(KEY)).not.toBeNull();
    expect(await (await open('memory://')).threads.load(KEY)).toBeNull();
  });

  it('commits with a full sync, so that a power cut loses nothing', () => {
    const database = openDatabase(join(folder, 'bridge.db'));
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    expect(database.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    database.close();
  });

  it.each([
    ['redis://localhost', 'may lose'],
    ['postgres://localhost/db?sslmode=maybe', 'unknown sslmode'],
    ['mysql://localhost/db', 'does not know'],
    ['./data/bridge.db', 'is not a URI'],
    ['sqlite://', 'names no file'],
    ['sqlite://:memory:', 'memory://'],
  ])('refuses %s and says what to write instead', async (uri, words) => {
    const error = await refusal(openStore(uri, { clock: createFakeClock(), log: createMemoryLog() }));
    expect(error.code).toBe('config_invalid');
    expect(error.message).toContain(words);
  });

  it('refuses a database of another program and leaves it unchanged', async () => {
    const path = join(folder, 'other.db');
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE notes (text TEXT)');
    other.close();
    const error = await refusal(openStore(`sqlite://${path}`, { clock: createFakeClock(), log: createMemoryLog() }));
    expect(error.code).toBe('store_failed');
    const tables = new DatabaseSync(path);
    expect(tables.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'notes' }]);
    tables.close();
  });

  it('refuses a file that is not a database', async () => {
    const path = join(folder, 'bridge.db');
    writeFileSync(path, 'this is not a database, it is a sentence that goes on for a while '.repeat(20));
    const open = () => openStore(`sqlite://${path}`, { clock: createFakeClock(), log: createMemoryLog() });
    expect((await refusal(open())).code).toBe('store_failed');
    // The lock was let go: the next attempt comes as far.
    expect((await refusal(open())).code).toBe('store_failed');
  });

  it('refuses a database of a newer bridge', async () => {
    const path = join(folder, 'bridge.db');
    await (await open(`sqlite://${path}`)).close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 2');
    newer.close();
    const error = await refusal(openStore(`sqlite://${path}`, { clock: createFakeClock(), log: createMemoryLog() }));
    expect(error.code).toBe('record_newer');
  });

  it('fails when the folder cannot be made', async () => {
    writeFileSync(join(folder, 'file'), '');
    const uri = `sqlite://${join(folder, 'file', 'bridge.db')}`;
    expect((await refusal(openStore(uri, { clock: createFakeClock(), log: createMemoryLog() }))).code).toBe(
      'store_failed',
    );
  });

  it('rejects calls after close, and may be closed twice', async () => {
    const store = await open(`sqlite://${join(folder, 'bridge.db')}`);
    const update = store.threads.update(KEY, () => threadRecord(KEY));
    await store.close();
    expect((await update)?.rev).toBe(1);
    await store.close();
    expect((await refusal(store.threads.load(KEY))).code).toBe('store_failed');
  });
});

describe('a store whose file is taken away while it runs', () => {
  const gone = { code: 'store_failed', cause: { code: 'store_gone' } };
  const file = () => join(folder, 'bridge.db');
  const opened = async () => {
    const store = await open(`sqlite://${file()}`);
    await store.threads.update(KEY, () => threadRecord(KEY));
    return store;
  };
  const next = (store: Store) =>
    refusal(store.threads.update(KEY, (now) => ({ ...(now ?? threadRecord(KEY)), muted: true })));

  it.each<[string, () => void]>([
    ['deleted', () => rmSync(file())],
    ['moved away', () => renameSync(file(), `${file()}.old`)],
    [
      'replaced by an empty one',
      () => {
        rmSync(file());
        writeFileSync(file(), '');
      },
    ],
    [
      'replaced by a copy',
      () => {
        copyFileSync(file(), `${file()}.copy`);
        renameSync(`${file()}.copy`, file());
      },
    ],
    ['without its journal', () => rmSync(`${file()}-wal`)],
    ['with its folder', () => renameSync(folder, `${folder}-moved`)],
  ])('(%s) rejects every write', async (_how, take) => {
    const store = await opened();
    take();
    expect(await next(store)).toMatchObject(gone);
    expect(await refusal(store.choices.set('agent', 'agent-1'))).toMatchObject(gone);
    expect((await store.threads.load(KEY))?.key).toBe(KEY);
    rmSync(`${folder}-moved`, { recursive: true, force: true });
  });

  it('works again when the file is put back', async () => {
    const store = await opened();
    renameSync(file(), `${file()}.old`);
    expect(await next(store)).toMatchObject(gone);
    renameSync(`${file()}.old`, file());
    await store.choices.set('agent', 'agent-1');
    await store.close();
    expect(await (await open(`sqlite://${file()}`)).choices.get('agent')).toBe('agent-1');
  });
});

describe('text of people in the store', () => {
  const SECRET = 'the-words-of-a-message';
  /** Whether the words stand anywhere in the files of the store. */
  const found = () => readdirSync(folder).filter((name) => readFileSync(join(folder, name), 'latin1').includes(SECRET));
  const withWords = () => {
    const record = threadRecord(KEY);
    const item = {
      key: 'T01:C01:1.000001',
      ts: '1.000001',
      user: 'U1',
      spans: [{ kind: 'text', text: SECRET }],
      files: [],
      receivedAt: 1,
    };
    return { ...record, inbox: [item] } as unknown as typeof record;
  };

  it('is in none of its files once the turn is over', async () => {
    const clock = createFakeClock();
    const store = await open(`sqlite://${join(folder, 'bridge.db')}`, clock);
    await store.threads.update(KEY, withWords);
    await clock.advance(10_000);
    expect(found()).not.toEqual([]);
    for (let n = 0; n < 50; n += 1)
      await store.threads.update(threadKeyOf(n + 2), () => threadRecord(threadKeyOf(n + 2)));
    await store.threads.update(KEY, () => threadRecord(KEY));
    await clock.advance(10_000);
    expect(found()).toEqual([]);
    expect(statSync(join(folder, 'bridge.db-wal')).size).toBe(0);
    expect(clock.waiting).toBe(0);
  });

  it('left behind by a kill is removed by the next start', async () => {
    const clock = createFakeClock();
    const path = join(folder, 'bridge.db');
    const store = await open(`sqlite://${path}`, clock);
    await store.threads.update(KEY, withWords);
    await store.threads.update(KEY, () => threadRecord(KEY));
    for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, join(folder, `killed.db${suffix}`));
    await store.close();
    expect(found()).toEqual(['killed.db-wal']);
    await open(`sqlite://${join(folder, 'killed.db')}`, clock);
    expect(found()).toEqual([]);
  });

  it('goes a few seconds after another reader has gone', async () => {
    const clock = createFakeClock();
    const path = join(folder, 'bridge.db');
    const store = await open(`sqlite://${path}`, clock);
    await store.threads.update(KEY, withWords);
    const reader = new DatabaseSync(path, { readOnly: true });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM rows').get();
    await store.threads.update(KEY, () => threadRecord(KEY));
    await clock.advance(6_000);
    expect(found()).not.toEqual([]);
    reader.close();
    await clock.advance(6_000);
    expect(found()).toEqual([]);
  });
});

describe('the ownership lock', () => {
  it('refuses a second owner after half a minute, naming the first', async () => {
    const path = join(folder, 'bridge.db');
    const first = await open(`sqlite://${path}`);
    await first.choices.set('agent', 'agent-1');
    symlinkSync(folder, join(folder, 'link'));
    const clock = createFakeClock();
    const log = createMemoryLog();
    let ended = false;
    const second = refusal(openStore(`sqlite://${join(folder, 'link', 'bridge.db')}`, { clock, log })).finally(() => {
      ended = true;
    });
    await clock.advance(29_000);
    expect(ended).toBe(false);
    expect(log.lines.map((line) => line.level)).toEqual(['warn']);
    await clock.advance(2_000);
    const error = await second;
    expect(error.code).toBe('store_locked');
    expect(error.message).toMatch(new RegExp(`pid ${process.pid} on .+, started 2026-01-05T09:00`));
    expect(await first.choices.get('agent')).toBe('agent-1');
    expect(clock.waiting).toBe(0);
  });

  it('passes on when the first owner closes meanwhile', async () => {
    const uri = `sqlite://${join(folder, 'bridge.db')}`;
    const first = await open(uri);
    const clock = createFakeClock();
    const second = open(uri, clock);
    await clock.advance(10_000);
    await first.close();
    await clock.advance(1_000);
    expect(await (await second).choices.get('agent')).toBeNull();
    expect(existsSync(join(folder, 'bridge.db.owner'))).toBe(true);
  });

  it('is no longer waited for once the waiting process stops', async () => {
    const uri = `sqlite://${join(folder, 'bridge.db')}`;
    await open(uri);
    const clock = createFakeClock();
    const stopping = new AbortController();
    const second = openStore(uri, { clock, log: createMemoryLog(), signal: stopping.signal });
    const reason = expect(second).rejects.toThrow('stopped');
    await clock.advance(1_000);
    stopping.abort(new Error('stopped'));
    await clock.advance(1_000);
    await reason;
    expect(clock.waiting).toBe(0);
  });

  it('is freed by SIGKILL: another process takes over', async () => {
    const path = join(folder, 'bridge.db');
    const owner = startOwner(path);
    await says(owner, 'open');
    expect(readFileSync(`${path}.owner`, 'utf8')).toContain(`pid ${owner.pid} on `);

    const clock = createFakeClock();
    const log = createMemoryLog();
    const waiting = open(`sqlite://${path}`, clock, log);
    await clock.advance(1_000);
    expect(log.lines[0]?.fields.owner).toContain(`pid ${owner.pid} on `);

    owner.kill('SIGKILL');
    await once(owner, 'exit');
    await clock.advance(1_000);
    await (await waiting).choices.set('agent', 'agent-2');
    expect(readFileSync(`${path}.owner`, 'utf8')).toContain(`pid ${process.pid} on `);
  });

  it('loses no confirmed write when its owner is killed while writing', async () => {
    const path = join(folder, 'bridge.db');
    const record = JSON.stringify(threadRecord(KEY));
    const owner = startOwner(
      path,
      `for (let n = 1; ; n += 1) {
         await store.threads.update('${KEY}', (now) => ({ ...(now ?? ${record}), background: n % 2 === 0 }));
         await new Promise((written) => process.stdout.write('saved ' + n + '.', written));
       }`,
    );
    let said = '';
    owner.stdout?.on('data', (chunk) => {
      said += String(chunk);
    });
    await says(owner, 'saved 20.');
    owner.kill('SIGKILL');
    await once(owner, 'close');
    const confirmed = Number(/.*saved (\d+)\./s.exec(said)?.[1]);
    expect(confirmed).toBeGreaterThanOrEqual(20);
    const store = await open(`sqlite://${path}`);
    const found = await store.threads.load(KEY);
    expect(found?.rev).toBeGreaterThanOrEqual(confirmed);
    expect(await store.threads.listActive()).toEqual(found?.background ? [KEY] : []);
  });

  it('keeps a process alive that only waits for it', async () => {
    const path = join(folder, 'bridge.db');
    const here = await openStore(`sqlite://${path}`, { clock: systemClock, log: createMemoryLog() });
    stores.push(here);
    const other = startOwner(path);
    const opened = says(other, 'open');
    await says(other, 'waiting for it to stop');
    await here.close();
    await opened;
    expect(other.exitCode).toBeNull();
  });
});
