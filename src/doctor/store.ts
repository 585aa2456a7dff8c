import { userInfo } from 'node:os';
import { inspectStore, type StoreReport } from '../storage/inspect.ts';
import { type Finding, fine, trouble } from './report.ts';

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

/** @returns the bridge that runs on the store now; `null`: none */
export function checkStore(
  uri: string,
  addFinding: (finding: Finding) => void,
): { holder: string; path: string } | null {
  const report = inspectStore(uri);
  addFinding(storeFinding(report, process.getuid?.() ?? null));
  return report.kind === 'sqlite' && report.holder !== null ? { holder: report.holder, path: report.path } : null;
}
