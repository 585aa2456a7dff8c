import { userInfo } from 'node:os';
import type { Clock } from '../bridge/ports.ts';
import { inspectStore, type StoreReport } from '../storage/inspect.ts';
import type { Listed, PostgresProcess, PostgresReport } from '../storage/postgres/inspect.ts';
import { LAYOUT as KNOWN_LAYOUT } from '../storage/postgres/layouts.ts';
import { type Finding, fine, trouble } from './report.ts';

/** A difference of the clocks that people should know of; what is decided by them is decided by the database’s alone. */
const CLOCK_OFF_MS = 5_000;

/** @param us user id of this process; `null` where the system has none */
function storeFinding(report: StoreReport, us: number | null): Finding {
  switch (report.kind) {
    case 'memory':
      return trouble('store_memory');
    case 'unusable':
      return trouble('store_unusable', { path: report.path, error: report.why, user: userInfo().username });
    case 'foreign':
      return trouble('store_foreign', { path: report.path });
    case 'newer':
      return trouble('store_newer', { path: report.path, layout: report.layout });
    case 'postgres':
      return postgresFinding(report);
    default:
      break;
  }
  const { path, layout, holder, uid, loose } = report;
  if (uid !== null && us !== null && uid !== us) {
    return trouble('store_owner', { path, owner: uid, user: us });
  }
  const [open] = loose;
  if (open) {
    const files = loose.map((file) => file.path).join(' ');
    return trouble('store_loose', { path: open.path, mode: open.mode, files });
  }
  if (layout === null && holder !== null) return trouble('store_gone', { path, holder });
  if (layout === null) return fine('store', `${path} will be made by the first start`);
  return fine(
    'store',
    `${path}, layout ${layout}, ${holder === null ? 'not in use' : `in use by the bridge (${holder})`}`,
  );
}

function postgresFinding(report: PostgresReport): Finding {
  const { place, unusable, facts, layout, aheadMs, processes, failedDeliveries } = report;
  if (unusable !== null || facts === null) return trouble('store_database', { place, why: unusable ?? '' });
  if (layout !== null && layout > KNOWN_LAYOUT) return trouble('store_newer', { path: place, layout });
  if (facts.fsync === 'off') return trouble('store_unsafe', { place });
  if (aheadMs !== null && Math.abs(aheadMs) >= CLOCK_OFF_MS) {
    return trouble('store_clock', { place, seconds: Math.round(aheadMs / 1_000) });
  }
  if (failedDeliveries > 0) return trouble('store_deliveries', { place, count: failedDeliveries });
  const made = layout === null ? 'tables will be made by the first start' : `layout ${layout}`;
  const users = processes.length === 1 ? '1 process uses it' : `${processes.length} processes use it`;
  const wire = facts.isEncrypted ? 'encrypted' : 'not encrypted';
  const commit = `synchronous_commit ${facts.synchronousCommit}`;
  return fine('store', `Postgres ${facts.version}, ${place}, ${made}, ${users}, ${commit}, ${wire}`);
}

/** Who serves what: a workspace is served by one process at a time. */
function addSharing({ processes, unserved }: PostgresReport, addFinding: (finding: Finding) => void): void {
  for (const { name, serves } of processes) {
    addFinding(
      fine('store', serves.count === 0 ? `${name}: serves no workspace now` : `${name}: serves ${listed(serves)}`),
    );
  }
  // Without processes the bridge is not running, and the next start serves them.
  if (processes.length === 0 || unserved.count === 0) return;
  addFinding(trouble('store_unserved', { workspaces: listed(unserved) }));
}

function listed({ count, first }: Listed): string {
  const more = count > first.length ? ` and ${count - first.length} more` : '';
  return `${first.join(', ')}${more}`;
}

/** What runs on the store now. */
export type Running =
  /** One bridge on a file, which can be asked. */
  | { kind: 'one'; holder: string; path: string }
  /** Processes on a database. */
  | { kind: 'shared'; processes: readonly PostgresProcess[] };

/** @returns `null`: nothing runs on it, or it cannot be known */
export async function checkStore(
  uri: string,
  clock: Clock,
  addFinding: (finding: Finding) => void,
): Promise<Running | null> {
  const report = await inspectStore(uri, clock);
  addFinding(storeFinding(report, process.getuid?.() ?? null));
  if (report.kind === 'postgres') {
    addSharing(report, addFinding);
    return report.processes.length > 0 ? { kind: 'shared', processes: report.processes } : null;
  }
  if (report.kind !== 'sqlite' || report.holder === null) return null;
  return { kind: 'one', holder: report.holder, path: report.path };
}
