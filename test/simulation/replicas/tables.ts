import type { QueryResultRow } from 'pg';
import type { VirtualClock } from '../clock.ts';
import type { SimDisk } from '../disk.ts';
import { TEAM } from '../slack.ts';
import type { Story } from '../story.ts';

type Values = readonly unknown[];
type Result = QueryResultRow[];

export interface LeaseRow {
  workspace: string;
  holder: string;
  process: string;
  fence: bigint;
  needed: boolean;
  expiresAt: number;
}

export interface InboundRow {
  id: number;
  token: string;
  workspace: string;
  delivery: string;
  receivedAt: number;
  dueAt: number;
  tries: number;
  hasFailed: boolean;
  replyBy: number | null;
  begunBy: string | null;
  reply: string | null;
}

/** One statement that the bridge sends, and what it does. */
interface Statement {
  is: RegExp;
  run(tables: SimTables, values: Values, text: string): Result;
}

const texts = (value: unknown) => (value as unknown[]).map(String);
const EVER = Number.NEGATIVE_INFINITY;

/** The condition on the fence, as far as the statement has it. */
function holdsLease({ leases }: SimTables, [workspace, fence]: Values, text: string): boolean {
  const row = leases.get(String(workspace));
  if (!row) return false;
  return !/WITH lease AS MATERIALIZED \([^)]*\bfence = \$2/.test(text) || String(row.fence) === String(fence);
}

/** Carries out what changes rows if the lease is held, or if the statement does not ask for it. */
function fenced(run: (tables: SimTables, values: Values, text: string) => string[], answer: 'keys' | 'ids') {
  return (tables: SimTables, values: Values, text: string): Result => {
    const held = holdsLease(tables, values, text);
    const isGuarded = /FROM lease\b/.test(
      text.slice(text.indexOf('done AS')).replace(/\) SELECT \(SELECT count.*/, ''),
    );
    const done = held || !isGuarded ? run(tables, values, text) : [];
    const [, settled] =
      /gone AS \( DELETE FROM bridge_inbound WHERE workspace = \$1 AND id = ANY \(\$(\d+)/.exec(text) ?? [];
    if (settled && (done.length > 0 || !/EXISTS \(SELECT 1 FROM done\)/.test(text))) {
      const ids = texts(values[Number(settled) - 1]);
      const deleted = tables.deleteInbound(({ id }) => ids.includes(String(id)));
      if (done.length === 0) tables.judgeDeleted(deleted);
    }
    return [{ held: held ? 1 : 0, [answer]: done }];
  };
}

const ROWS: readonly Statement[] = [
  {
    is: /INSERT INTO bridge_rows .* ON CONFLICT .* DO UPDATE/,
    run: fenced((tables, values) => {
      const [, , workspace, namespace, keys, written] = values;
      const all = Array.isArray(keys) ? keys : [keys];
      all.forEach((key, n) => {
        tables.setRow(workspace, namespace, String(key), String(Array.isArray(written) ? written[n] : written), 0n);
      });
      return texts(all);
    }, 'keys'),
  },
  {
    is: /INSERT INTO bridge_rows .* DO NOTHING/,
    run: fenced((tables, values) => {
      const [, , workspace, namespace, key, value, rev] = values;
      if (tables.rowOf(workspace, namespace, String(key)) !== null) return [];
      tables.setRow(workspace, namespace, String(key), String(value), BigInt(String(rev)));
      return [String(key)];
    }, 'keys'),
  },
  {
    is: /UPDATE bridge_rows SET value = \$6, rev = \$7::bigint/,
    run: fenced((tables, values, text) => {
      const [, , workspace, namespace, key, value, next, expected] = values;
      const row = tables.rowOf(workspace, namespace, String(key));
      if (!row || (/AND rev = \$8::bigint/.test(text) && row.rev !== BigInt(String(expected)))) return [];
      tables.setRow(workspace, namespace, String(key), String(value), BigInt(String(next)));
      return [String(key)];
    }, 'keys'),
  },
  {
    is: /UPDATE bridge_rows SET value = \$6 WHERE/,
    run: fenced((tables, [, , workspace, namespace, key, value, before]) => {
      const row = tables.rowOf(workspace, namespace, String(key));
      if (row?.value !== before) return [];
      tables.setRow(workspace, namespace, String(key), String(value), row?.rev ?? 0n);
      return [String(key)];
    }, 'keys'),
  },
  {
    is: /DELETE FROM bridge_rows .* AND key = \$5 AND value = \$6/,
    run: fenced((tables, [, , workspace, namespace, key, before]) => {
      const row = tables.rowOf(workspace, namespace, String(key));
      return row?.value === before && tables.deleteRow(workspace, namespace, String(key)) ? [String(key)] : [];
    }, 'keys'),
  },
  {
    is: /DELETE FROM bridge_rows .* AND key = ANY/,
    run: fenced(
      (tables, [, , workspace, namespace, keys]) =>
        texts(keys).filter((key) => tables.deleteRow(workspace, namespace, key)),
      'keys',
    ),
  },
  {
    is: /^SELECT key, value FROM bridge_rows WHERE .* AND key = ANY/,
    run: (tables, [workspace, namespace, keys]) =>
      texts(keys).flatMap((key) => {
        const row = tables.rowOf(workspace, namespace, key);
        return row ? [{ key, value: row.value }] : [];
      }),
  },
  {
    is: /^SELECT key(?:, value)? FROM bridge_rows WHERE .* ORDER BY key LIMIT/,
    run(tables, [workspace, namespace, after], text) {
      const limit = Number(/LIMIT (\d+)/.exec(text)?.[1]);
      const keys = tables.keysOf(workspace, namespace).filter((key) => after === null || key > String(after));
      keys.sort((one, other) => (one < other ? -1 : 1));
      return keys.slice(0, limit).map((key) => ({ key, value: tables.rowOf(workspace, namespace, key)?.value }));
    },
  },
];

const LEASES: readonly Statement[] = [
  {
    is: /^INSERT INTO bridge_leases AS lease/,
    run(tables, values, text) {
      const [workspace, holder, process, expiryMs] = values;
      const now = tables.now();
      const row = tables.leases.get(String(workspace));
      const isOver = !row || row.expiresAt <= now || !/expires_at > clock_timestamp\(\) AND process/.test(text);
      if (row && !isOver && row.process !== process) return [];
      const next: LeaseRow = {
        ...{ workspace: String(workspace), holder: String(holder), process: String(process) },
        ...{ fence: (row?.fence ?? 0n) + 1n, needed: row?.needed ?? false, expiresAt: now + Number(expiryMs) },
      };
      tables.leases.set(next.workspace, next);
      return [{ fence: String(next.fence), now }];
    },
  },
  {
    is: /^UPDATE bridge_leases AS lease SET expires_at = .* FROM unnest/,
    run(tables, [workspaces, holders, expiryMs]) {
      const now = tables.now();
      return texts(workspaces).flatMap((workspace, n) => {
        const row = tables.leases.get(workspace);
        if (row?.holder !== (holders as string[])[n]) return [];
        if (row) row.expiresAt = now + Number(expiryMs);
        return [{ holder: row?.holder, now }];
      });
    },
  },
  {
    is: /^UPDATE bridge_leases SET fence = fence \+ 1/,
    run(tables, [workspace, holder, expiryMs]) {
      const row = tables.leases.get(String(workspace));
      if (row?.holder !== holder || !row) return [];
      row.fence += 1n;
      row.expiresAt = tables.now() + Number(expiryMs);
      return [{ fence: String(row.fence) }];
    },
  },
  {
    is: /^UPDATE bridge_leases SET needed = \$3 WHERE workspace = \$1/,
    run(tables, [workspace, fence, needed], text) {
      const row = tables.leases.get(String(workspace));
      if (!row || (/fence = \$2/.test(text) && String(row.fence) !== String(fence))) return [];
      row.needed = needed === true;
      return [{ one: 1 }];
    },
  },
  {
    is: /^UPDATE bridge_leases SET holder = '', process = ''/,
    run(tables, [workspace, holder], text) {
      const row = tables.leases.get(String(workspace));
      if (row?.holder !== holder || !row) return [];
      if (/fence = fence \+ 1/.test(text)) row.fence += 1n;
      Object.assign(row, { holder: '', process: '', expiresAt: EVER });
      return [];
    },
  },
  {
    is: /^WITH RECURSIVE waiting/,
    run({ leases, inbound, now }, [limit]) {
      const at = now();
      const isFree = (workspace: string) => (leases.get(workspace)?.expiresAt ?? EVER) <= at;
      const needed = [...leases.values()].filter((row) => row.needed).map(({ workspace }) => workspace);
      const waiting = inbound.filter(
        (row) =>
          !row.hasFailed && row.begunBy === null && row.dueAt <= at && (row.replyBy === null || row.replyBy > at),
      );
      const all = new Set([...needed, ...waiting.map(({ workspace }) => workspace)]);
      return [...all]
        .filter(isFree)
        .slice(0, Number(limit))
        .map((workspace) => ({ workspace }));
    },
  },
  {
    is: /^SELECT workspace, extract\(epoch FROM expires_at/,
    run({ leases, now }, [workspaces]) {
      const at = now();
      return texts(workspaces).flatMap((workspace) => {
        const row = leases.get(workspace);
        return row && row.expiresAt > at ? [{ workspace, left: row.expiresAt - at }] : [];
      });
    },
  },
  {
    is: /^SELECT extract\(epoch FROM min\(expires_at\)/,
    run({ leases, now }, [process]) {
      const at = now();
      const left = [...leases.values()]
        .filter((row) => row.needed && row.expiresAt > at && row.process !== process)
        .map((row) => row.expiresAt - at);
      return [{ left: left.length === 0 ? null : Math.min(...left) }];
    },
  },
  { is: /^DELETE FROM bridge_leases WHERE workspace LIKE/, run: () => [] },
  { is: /^SELECT current_schema\(\)/, run: () => [{ id: '1' }] },
];

const WAITS = ({ dueAt, hasFailed, begunBy }: InboundRow, now: number) =>
  dueAt <= now && !hasFailed && begunBy === null;

const INBOUND: readonly Statement[] = [
  {
    is: /INSERT INTO bridge_inbound /,
    run: (tables, [tokens, workspaces, deliveries, replyBys]) =>
      texts(tokens).map((token, n) => {
        const replyBy = (replyBys as (number | null)[])[n] ?? null;
        tables.addInbound(token, texts(workspaces)[n] ?? '', texts(deliveries)[n] ?? '', replyBy);
        return { token };
      }),
  },
  {
    is: /^DELETE FROM bridge_inbound WHERE token = \$1 .*RETURNING 1 AS one/,
    run(tables, [token], text) {
      const mayHaveBegun = !/begun_by IS NULL/.test(text);
      const is = (row: InboundRow) => row.token === token && (mayHaveBegun || row.begunBy === null);
      return tables.deleteInbound(is).map(() => ({}));
    },
  },
  {
    is: /^DELETE FROM bridge_inbound WHERE token = ANY .* AND reply IS NOT NULL/,
    run: (tables, [tokens]) =>
      tables
        .deleteInbound((row) => texts(tokens).includes(row.token) && row.reply !== null)
        .map(({ token, reply }) => ({ token, reply })),
  },
  {
    is: /^SELECT workspace FROM unnest\(\$1::text\[\]\) AS mine/,
    run: ({ inbound, now }, [workspaces]) =>
      texts(workspaces)
        .filter((workspace) => inbound.some((row) => row.workspace === workspace && WAITS(row, now())))
        .map((workspace) => ({ workspace })),
  },
  {
    is: /^DELETE FROM bridge_inbound WHERE received_at < /,
    run: (tables) => {
      const now = tables.now();
      const isOld = ({ receivedAt, replyBy }: InboundRow) =>
        receivedAt < now - 24 * 3_600_000 || (replyBy !== null && replyBy < now - 60_000);
      return tables.deleteInbound(isOld).map(({ workspace }) => ({ workspace }));
    },
  },
  {
    is: /^SELECT id, token, delivery, tries/,
    run({ inbound, now }, [workspace, known, limit]) {
      const at = now();
      return inbound
        .filter((row) => row.workspace === workspace && WAITS(row, at) && !texts(known).includes(String(row.id)))
        .slice(0, Number(limit))
        .map(({ id, token, delivery, tries, replyBy }) => ({
          ...{ id: String(id), token, delivery, tries, asks: replyBy !== null },
        }));
    },
  },
  {
    is: /done AS \(DELETE FROM bridge_inbound WHERE id = ANY/,
    run: fenced(
      (tables, [, , ids]) =>
        tables.deleteInbound((row) => texts(ids).includes(String(row.id))).map(({ id }) => String(id)),
      'ids',
    ),
  },
  {
    is: /done AS \(DELETE FROM bridge_inbound WHERE id = \$3/,
    run: fenced(
      (tables, [, , id]) => tables.deleteInbound((row) => String(row.id) === id).map((row) => String(row.id)),
      'ids',
    ),
  },
  {
    is: /done AS \(UPDATE bridge_inbound SET tries = tries \+ 1/,
    run: fenced(
      (tables, [, , id, ms, isLast]) =>
        tables.changeInbound(id, (row) => {
          row.tries += 1;
          row.dueAt = tables.now() + Number(ms);
          if (isLast === true) row.hasFailed = true;
        }),
      'ids',
    ),
  },
  {
    is: /done AS \(UPDATE bridge_inbound SET begun_by = \$2/,
    run: fenced((tables, [, fence, id], text) => {
      const now = tables.now();
      const row = tables.inbound.find((known) => String(known.id) === id);
      const isFree = /begun_by IS NULL/.test(text) ? row?.begunBy === null : row !== undefined;
      if (!row || !isFree || (/reply_by > clock_timestamp/.test(text) && (row.replyBy ?? 0) <= now)) return [];
      row.begunBy = String(fence);
      return [String(id)];
    }, 'ids'),
  },
  {
    is: /done AS \(UPDATE bridge_inbound SET reply = \$4/,
    run: fenced(
      (tables, [, , id, reply]) =>
        tables.changeInbound(id, (row) => {
          row.reply = String(reply);
        }),
      'ids',
    ),
  },
  { is: /^INSERT INTO bridge_replicas/, run: () => [] },
  { is: /^WITH forgotten/, run: () => [] },
  { is: /^DELETE FROM bridge_replicas/, run: () => [] },
];

const STATEMENTS = [...ROWS, ...LEASES, ...INBOUND];
const found = new Map<string, { statement: Statement; text: string }>();

/** @throws Error when the simulation does not know the statement */
function findStatement(sql: string) {
  const known = found.get(sql);
  if (known) return known;
  const text = sql.replace(/\s+/g, ' ').trim();
  const statement = STATEMENTS.find(({ is }) => is.test(text));
  if (!statement) throw new Error(`the simulated database does not know this statement: ${text}`);
  const entry = { statement, text };
  found.set(sql, entry);
  return entry;
}

/**
 * The tables of the bridge, and what its statements do with them, each in one step. The conditions that keep late
 * writes out are read from the statements themselves, so that one that lacks them does harm here, too;
 * `test/storage/postgres/` holds the real ones.
 */
export class SimTables {
  readonly leases = new Map<string, LeaseRow>();
  readonly inbound: InboundRow[] = [];
  readonly #disk: SimDisk;
  readonly #story: Story;
  readonly #clock: VirtualClock;
  readonly #aheadMs: number;
  readonly #others = new Map<string, Map<string, string>>();
  readonly #revs = new Map<string, bigint>();
  #ids = 0;
  /** Whose statement is carried out. */
  #sender = '';

  /** @param disk has the rows of the workspace @param aheadMs how far the clock of the database is ahead */
  constructor(disk: SimDisk, clock: VirtualClock, story: Story, aheadMs: number) {
    this.#disk = disk;
    this.#clock = clock;
    this.#story = story;
    this.#aheadMs = aheadMs;
  }

  /** The database's clock, ms since 1970. */
  readonly now = (): number => this.#clock.now() + this.#aheadMs;

  /** @param sender the process that sent it */
  run(sender: string, sql: string, values: Values): Result {
    const { statement, text } = findStatement(sql);
    this.#sender = sender;
    return statement.run(this, values, text);
  }

  /** Who holds the workspace's lease now; `null`: nobody. */
  ownerOf(workspace: string): string | null {
    const row = this.leases.get(workspace);
    return row && row.expiresAt > this.now() ? row.process : null;
  }

  rowOf(workspace: unknown, namespace: unknown, key: string): { value: string; rev: bigint } | null {
    const value = this.#rowsOf(workspace, namespace).get(key);
    if (value === undefined) return null;
    return { value, rev: this.#revs.get(`${workspace} ${namespace} ${key}`) ?? 0n };
  }

  keysOf(workspace: unknown, namespace: unknown): string[] {
    return [...this.#rowsOf(workspace, namespace).keys()];
  }

  setRow(workspace: unknown, namespace: unknown, key: string, value: string, rev: bigint): void {
    this.#judgeWrite(workspace, `${namespace}/${key}`);
    this.#rowsOf(workspace, namespace).set(key, value);
    this.#revs.set(`${workspace} ${namespace} ${key}`, rev);
    if (workspace === TEAM) this.#disk.onWrite(String(namespace), key, value);
  }

  deleteRow(workspace: unknown, namespace: unknown, key: string): boolean {
    this.#judgeWrite(workspace, `${namespace}/${key}`);
    this.#revs.delete(`${workspace} ${namespace} ${key}`);
    return this.#rowsOf(workspace, namespace).delete(key);
  }

  addInbound(token: string, workspace: string, delivery: string, replyBy: number | null): void {
    this.#ids += 1;
    const now = this.now();
    this.inbound.push({
      ...{ id: this.#ids, token, workspace, delivery, receivedAt: now, dueAt: now, tries: 0 },
      ...{ hasFailed: false, replyBy, begunBy: null, reply: null },
    });
  }

  changeInbound(id: unknown, change: (row: InboundRow) => void): string[] {
    const row = this.inbound.find((known) => String(known.id) === id);
    if (!row) return [];
    change(row);
    return [String(id)];
  }

  deleteInbound(is: (row: InboundRow) => boolean): InboundRow[] {
    const deleted = this.inbound.filter(is);
    for (const row of deleted) this.inbound.splice(this.inbound.indexOf(row), 1);
    return deleted;
  }

  /** The write that was to have them was not done. */
  judgeDeleted(deleted: readonly InboundRow[]): void {
    for (const { id } of deleted) this.#story.addViolation(`delivery ${id} was deleted, and no thread has it`);
  }

  #rowsOf(workspace: unknown, namespace: unknown): Map<string, string> {
    if (workspace === TEAM) return this.#disk.rowsOf(String(namespace));
    const name = `${workspace}/${namespace}`;
    const rows = this.#others.get(name) ?? new Map<string, string>();
    this.#others.set(name, rows);
    return rows;
  }

  /** A lease that has run out is its holder's still until another process takes it. */
  #judgeWrite(workspace: unknown, what: string): void {
    if (workspace !== TEAM || this.leases.get(TEAM)?.process === this.#sender) return;
    this.#story.addViolation(`${this.#sender} wrote ${what} outside of a lease`);
  }
}
