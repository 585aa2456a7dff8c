/** When the device made a frame: its place in the device's count, and the device's clock. */
export interface Stamp {
  readonly eventSeq: number;
  /** ISO time; `''` when unknown. */
  readonly emittedAt: string;
}

export function stampOf(frame: {
  event_seq?: number | null | undefined;
  emitted_at?: string | null | undefined;
}): Stamp | null {
  return typeof frame.event_seq === 'number' ? { eventSeq: frame.event_seq, emittedAt: frame.emitted_at ?? '' } : null;
}

/**
 * Whether `a` was certainly made before `b`. The count is not enough: it restarts at 1 with the device's process, while
 * our socket may stay open (docs/letta-protocol.md, Hosted: not known; Envelope, order, duplicates). So the clock must
 * agree.
 */
export function isBefore(a: Stamp | null, b: Stamp | null): boolean {
  return a !== null && b !== null && a.eventSeq < b.eventSeq && a.emittedAt <= b.emittedAt;
}
