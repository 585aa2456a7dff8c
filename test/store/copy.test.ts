import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openHouse } from '../../src/storage/open-house.ts';
import { openDatabase } from '../../src/storage/sqlite.ts';
import { createMemoryLog } from '../support/log.ts';
import { openReplica, takeLease } from '../support/postgres/replica.ts';
import { createSchema, findServer } from '../support/postgres/schema.ts';
import { inboxItem, openTurn, threadKeyOf, threadRecord } from '../support/records.ts';

const server = await findServer();
const TEAM = 'T01SANDBOX';

async function run(args: string[], env: Record<string, string> = {}) {
  const cwd = mkdtempSync(join(tmpdir(), 'bridge-copy-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const child = spawn(process.execPath, [resolve('src/cli.ts'), 'store', ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...env },
  });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { stdout, stderr, status };
}

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-copy-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'bridge.db');
}

/** A file as a bridge leaves it that served the bot token's workspace and another one. */
async function filled(path = newFile(), threads = 300): Promise<string> {
  const house = await openHouse(`sqlite://${path}`, { clock: systemClock, log: createMemoryLog() });
  const [lease, other] = [await takeLease(house, TEAM), await takeLease(house, 'T02OTHER')];
  const store = await house.openWorkspace(TEAM, lease, { isConfigured: true });
  for (let n = 0; n < threads; n += 1) await store.threads.update(threadKeyOf(n), () => threadRecord(threadKeyOf(n)));
  const big = inboxItem(1, 'ä\u0000\ud800'.repeat(9_000));
  await store.threads.update(threadKeyOf(1), (record) => record && { ...record, turn: openTurn(1, { items: [big] }) });
  await store.choices.set('agent', 'agent-1');
  await house.choices.set('devices', '[]');
  await house.installations.set('T02OTHER', { sealed: 'x' });
  await (await house.openWorkspace('T02OTHER', other)).choices.set('agent', 'agent-2');
  await other.keepServed(true);
  await house.close();
  return path;
}

describe('letta-slack store', () => {
  it.each([
    [[], 'What should be done'],
    [['move'], 'Unknown command'],
    [['copy', 'sqlite://a'], 'FROM and TO'],
    [['copy', 'sqlite://a', 'redis://b'], 'TO uses redis://'],
    [['copy', 'sqlite://a', 'postgres://b/c?ssl=1'], 'TO has ssl after the ?'],
    [['copy', 'sqlite://a', 'postgres://b/c', '--fast'], 'An option is wrong'],
    [['copy', 'sqlite://a', 'postgres://b/c', '--workspace', 'x'], '--workspace needs'],
    [['copy', 'sqlite://a', 'memory://'], 'only postgres://'],
  ])('with %o: exits with 2 and says what is wrong', async (args, words) => {
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toContain(words);
    expect([status, stdout]).toEqual([2, '']);
  });
});

describe.skipIf(server === null)('letta-slack store copy', () => {
  async function newTarget() {
    const schema = await createSchema(server ?? '');
    onTestFinished(() => schema.drop());
    return schema;
  }

  it('copies every row of a SQLite file for the next bridge', async () => {
    const [file, target] = [await filled(), await newTarget()];
    const { password } = new URL(target.uri);
    const uri = new URL(target.uri);
    uri.password = '';
    const { status, stdout, stderr } = await run(['copy', `sqlite://${file}`, uri.href], { PGPASSWORD: password });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/Copied \d+ rows of 2 workspaces/);
    expect(stdout).toContain('Reading again: ');
    expect(stdout).not.toContain(password);

    const before = await openHouse(`sqlite://${file}`, { clock: systemClock, log: createMemoryLog() });
    onTestFinished(() => before.close());
    const after = await openReplica(target.uri);
    expect(await after.leases.listUnserved(10)).toEqual(['T02OTHER']);
    expect(await after.installations.get('T02OTHER')).toEqual({ sealed: 'x' });
    expect(await after.choices.get('devices')).toBe('[]');
    const old = await before.openWorkspace(TEAM, await takeLease(before, TEAM), { isConfigured: true });
    const moved = await after.openWorkspace(TEAM, await takeLease(after, TEAM));
    for (let n = 0; n < 300; n += 1) {
      expect(await moved.threads.load(threadKeyOf(n))).toEqual(await old.threads.load(threadKeyOf(n)));
    }
    expect(await moved.threads.listActive()).toEqual([threadKeyOf(1)]);
    expect(await moved.choices.get('agent')).toBe('agent-1');
    const next = await moved.threads.update(threadKeyOf(1), (record) => record && { ...record, muted: true });
    expect(next?.rev).toBe(3);
    const other = await after.openWorkspace('T02OTHER', await takeLease(after, 'T02OTHER'));
    expect(await other.choices.get('agent')).toBe('agent-2');
  });

  it('refuses a file that a bridge uses', async () => {
    const [file, target] = [await filled(newFile(), 3), await newTarget()];
    const house = await openHouse(`sqlite://${file}`, { clock: systemClock, log: createMemoryLog() });
    onTestFinished(() => house.close());
    const { status, stderr } = await run(['copy', `sqlite://${file}`, target.uri]);
    expect(stderr).toContain(`in use by another bridge (pid ${process.pid}`);
    expect(status).toBe(2);
    expect(await target.run('SELECT 1 FROM bridge_rows')).toEqual([]);
  });

  it('refuses a database that a bridge uses, or that has rows', async () => {
    const [file, target] = [await filled(newFile(), 3), await newTarget()];
    const house = await openReplica(target.uri);
    const used = await run(['copy', `sqlite://${file}`, target.uri]);
    expect(used.stderr).toMatch(/target .* is in use by a bridge \(pid \d+ on /);
    expect(used.status).toBe(2);
    await house.choices.set('agent', 'agent-1');
    await house.close();
    const full = await run(['copy', `sqlite://${file}`, target.uri]);
    expect(full.stderr).toContain('has rows already');
    expect(full.status).toBe(2);
  });

  it('leaves nothing behind when it fails on its way', async () => {
    const [file, target] = [await filled(newFile(), 3), await newTarget()];
    await (await openReplica(target.uri)).close();
    await target.run(`CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.namespace = 'threads' THEN NEW.value := 'lost'; END IF; RETURN NEW; END $$`);
    await target.run('CREATE TRIGGER change BEFORE INSERT ON bridge_rows FOR EACH ROW EXECUTE FUNCTION change()');
    const { status, stderr } = await run(['copy', `sqlite://${file}`, target.uri]);
    expect(stderr).toContain('3 rows differ after copying');
    expect(status).toBe(1);
    expect(await target.run('SELECT 1 FROM bridge_rows')).toEqual([]);
  });

  it('asks for the workspace where the threads do not tell', async () => {
    const [file, target] = [newFile(), await newTarget()];
    const database = openDatabase(file);
    const add = database.prepare(`INSERT INTO rows (namespace, key, value) VALUES (?, ?, '{"value":{}}')`);
    add.run('threads', 'T01ONE:C1:1.000001');
    add.run('threads', 'T02TWO:C1:1.000001');
    database.close();
    const { status, stderr } = await run(['copy', `sqlite://${file}`, target.uri]);
    expect(stderr).toContain('by --workspace');
    expect(status).toBe(2);
    expect((await run(['copy', `sqlite://${file}`, target.uri, '--workspace', 'E01ORG'])).status).toBe(0);
    expect(await target.run('SELECT DISTINCT workspace FROM bridge_rows')).toEqual([{ workspace: 'E01ORG' }]);
  });

  it('copies from one database to another, with what waits there', async () => {
    const [file, source, target] = [await filled(newFile(), 3), await newTarget(), await newTarget()];
    expect((await run(['copy', `sqlite://${file}`, source.uri])).status).toBe(0);
    const house = await openReplica(source.uri);
    await house.inbound.put(TEAM, { kind: 'events_api', body: { n: 1 }, retryNum: 0, retryReason: null });
    await house.close();
    const { status, stdout, stderr } = await run(['copy', source.uri, target.uri]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('of 2 workspaces');
    const rows = 'SELECT workspace, namespace, key, value, rev FROM bridge_rows ORDER BY 1, 2, 3';
    expect(await target.run(rows)).toEqual(await source.run(rows));
    const after = await openReplica(target.uri);
    expect((await after.leases.listUnserved(10)).sort()).toEqual([TEAM, 'T02OTHER']);
    const same = await run(['copy', source.uri, source.uri]);
    expect(same.stderr).toContain('has rows already');
  });
});
