import type { WorkspaceId } from '../bridge/ids.ts';
import type { Metrics } from '../bridge/ports.ts';
import type { WorkspaceMetrics } from '../ops/metrics.ts';
import type { Load, Workspace } from './workspace.ts';

/** Tells how much is under way: of all workspaces together, or of each apart. */
export type TellLoads = (workspaces: readonly Pick<Workspace, 'id' | 'load'>[]) => void;

/** @param metricsOf the metrics of one workspace; left out: all are told together */
export function createLoadMetrics(
  metrics: Metrics,
  metricsOf?: (workspace: WorkspaceId) => WorkspaceMetrics,
): TellLoads {
  /** Those told apart the last time. */
  let told = new Map<WorkspaceId, WorkspaceMetrics>();
  return (workspaces) => {
    if (!metricsOf) return tell(metrics, sumOf(workspaces.map((workspace) => workspace.load())));
    const now = new Map(workspaces.map(({ id }) => [id, told.get(id) ?? metricsOf(id)]));
    for (const [id, own] of told) if (!now.has(id)) own.forgetGauges();
    for (const { id, load } of workspaces) tell(now.get(id) ?? metrics, load());
    told = now;
  };
}

function tell(metrics: Metrics, { waiting, openApprovals, live }: Load): void {
  metrics.gauge('queue_depth', waiting);
  metrics.gauge('open_approvals', openApprovals);
  metrics.gauge('live_threads', live);
}

function sumOf(loads: readonly Load[]): Load {
  const sum = (of: (load: Load) => number) => loads.reduce((total, load) => total + of(load), 0);
  return {
    waiting: sum(({ waiting }) => waiting),
    openApprovals: sum(({ openApprovals }) => openApprovals),
    live: sum(({ live }) => live),
  };
}
