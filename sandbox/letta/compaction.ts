import { setTimeout as sleep } from 'node:timers/promises';
import type { History } from './history.ts';
import type { World } from './world.ts';

/** What has messages to summarise. */
interface Bearer {
  readonly history: History;
  /** Why turns fail: its agent is gone, or it is. */
  readonly missing: string | null;
  /** Ids of calls that wait for approval. */
  readonly waitingCalls: readonly string[];
}

/**
 * The command `compact`, as recorded (docs/letta-protocol.md, Compaction).
 * @returns the body of the answer; `null`: the process stopped before the summary was written
 */
export async function compact(
  { history, missing, waitingCalls }: Bearer,
  { stopping, timings }: Pick<World, 'stopping' | 'timings'>,
  args: string,
): Promise<{ success: boolean; output: string } | null> {
  const failed = (output: string) => ({ success: false, output: `Failed: ${output}` });
  if (missing !== null) return failed(missing);
  if (/^self_compact_(all|sliding_window)$/.test(args)) {
    const known = 'Local backend compaction currently supports only modes "all" and "sliding_window"';
    return failed(`${known} (received "${args}").`);
  }
  if (args !== '' && args !== 'all' && args !== 'sliding_window') {
    return failed(`Invalid mode "${args}". Run /compact help for usage.`);
  }
  const finish = history.beginSummary(args === 'all' ? 'all' : 'sliding_window', waitingCalls);
  await sleep(timings.summary * timings.scale, undefined, { signal: stopping, ref: false }).catch(() => undefined);
  if (stopping.aborted) return null;
  const { before, after, summary } = finish();
  const how = args === '' ? '' : ` (mode: ${args})`;
  const lengths = `Message buffer length reduced from ${before} to ${after}.`;
  return { success: true, output: `Compaction completed${how}. ${lengths}\n\nSummary: ${summary}` };
}
