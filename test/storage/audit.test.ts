import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../src/bridge/approvals/audit-entry.ts';
import { makeToken, makeTurnId } from '../../src/bridge/ids.ts';
import { StoredAudit } from '../../src/storage/audit.ts';
import { memoryAdapter } from '../../src/storage/memory.ts';
import { Rows } from '../../src/storage/rows.ts';
import { createFakeClock } from '../support/clock.ts';
import { silentLog } from '../support/middle.ts';
import { threadKeyOf } from '../support/records.ts';

const DAY = 86_400_000;

function entry(n: number, at: number, change: Partial<AuditEntry> = {}): AuditEntry {
  return {
    id: makeToken(`token${n}`),
    thread: threadKeyOf(1),
    turn: makeTurnId('t1'),
    requestId: `perm-${n}`,
    tool: 'Bash',
    title: `touch ${n}`,
    digest: 'd'.repeat(64),
    requester: 'U01ALICE',
    askedAt: at - 5,
    by: 'U01ALICE',
    at,
    outcome: 'approved',
    via: 'click',
    ...change,
  };
}

function create(keptForMs = 90 * DAY) {
  const clock = createFakeClock();
  const rows = new Rows('audit', memoryAdapter());
  return { clock, rows, audit: new StoredAudit(rows, { clock, log: silentLog, keptForMs }) };
}

const all = () => true;

describe('the stored audit', () => {
  it('returns the newest entries first, up to a number', async () => {
    const { audit, clock } = create();
    const now = clock.now();
    for (const n of [2, 1, 3]) await audit.append(entry(n, now + n));
    expect(await audit.listLatest(2, all)).toEqual([entry(3, now + 3), entry(2, now + 2)]);
    expect(await audit.listLatest(9, ({ title }) => title === 'touch 1')).toEqual([entry(1, now + 1)]);
    expect(await audit.listLatest(0, all)).toEqual([]);
  });

  it('keeps an entry once, and a later outcome of it beside', async () => {
    const { audit, clock } = create();
    const now = clock.now();
    await audit.append(entry(1, now));
    await audit.append(entry(1, now));
    await audit.append(entry(1, now + 9, { outcome: 'answered_elsewhere', by: null, via: null }));
    expect((await audit.listLatest(9, all)).map(({ outcome }) => outcome)).toEqual(['answered_elsewhere', 'approved']);
  });

  it('hides expired entries at once, and deletes them on disk', async () => {
    const { audit, clock, rows } = create(DAY);
    await audit.append(entry(1, clock.now()));
    await clock.advance(2 * DAY);
    expect(await audit.listLatest(9, all)).toEqual([]);
    await audit.append(entry(2, clock.now()));
    await audit.waitUntilIdle();
    expect(await rows.keys()).toHaveLength(1);
    expect((await audit.listLatest(9, all)).map(({ title }) => title)).toEqual(['touch 2']);
  });

  it('reports an error on an invalid row', async () => {
    const { audit, clock, rows } = create();
    await rows.set(`${String(clock.now()).padStart(15, '0')}-x`, { schema: 1, nonsense: true });
    await expect(audit.listLatest(9, all)).rejects.toMatchObject({ code: 'store_failed' });
  });
});
