import { vi } from 'vitest';

/** Resolves when `check` no longer throws; for what happens in real time elsewhere. */
export function until(check: () => unknown, timeout = 15_000): Promise<unknown> {
  return vi.waitFor(check, { timeout, interval: 20 });
}
