/**
 * An immutable, bounded set of keys: adding returns a new set. Copying it for each of thousands of frames would be
 * slow, so successive sets share one table of keys and positions, and each set contains the positions below its own
 * `end`. The table is copied only when a key is added to an older set, or to a full table.
 */
export interface Seen {
  readonly table: KeyTable;
  readonly end: number;
}

/** At least this many of the last keys are known at any time. */
export const SEEN_KEPT = 2_048;

const SMALLEST = 64;

/**
 * Keys and their positions, in the order of adding. It keeps 53 bits of each key instead of its 60 letters, because a
 * live thread remembers thousands of them. That one key is taken for one of 4,096 others has a chance of 1 to 2 × 10¹².
 */
class KeyTable {
  /** A key is in the first slot from its own on that holds it or is free (0). */
  readonly #hashes: Float64Array;
  readonly #positions: Uint16Array;
  #size = 0;

  constructor(slots: number) {
    this.#hashes = new Float64Array(slots);
    this.#positions = new Uint16Array(slots);
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.#hashes.byteLength + this.#positions.byteLength;
  }

  /** Above three quarters a search would pass too many other keys. */
  get isCrowded(): boolean {
    return this.#size >= (this.#hashes.length * 3) / 4;
  }

  has(hash: number, end: number): boolean {
    const slot = this.#slotOf(hash);
    return this.#hashes[slot] === hash && (this.#positions[slot] ?? end) < end;
  }

  /** Adds a key that it does not have. */
  add(hash: number): void {
    this.#put(hash, this.#size);
    this.#size += 1;
  }

  /** The keys at positions from `from` up to `end`, with room for as many more. */
  copy(from: number, end: number): KeyTable {
    let slots = SMALLEST;
    while (end - from >= slots / 2) slots *= 2;
    const copy = new KeyTable(slots);
    this.#hashes.forEach((hash, slot) => {
      const position = this.#positions[slot] ?? end;
      if (hash !== 0 && position >= from && position < end) copy.#put(hash, position - from);
    });
    copy.#size = end - from;
    return copy;
  }

  #put(hash: number, position: number): void {
    const slot = this.#slotOf(hash);
    this.#hashes[slot] = hash;
    this.#positions[slot] = position;
  }

  #slotOf(hash: number): number {
    const mask = this.#hashes.length - 1;
    let slot = hash & mask;
    while (this.#hashes[slot] !== 0 && this.#hashes[slot] !== hash) slot = (slot + 1) & mask;
    return slot;
  }
}

/** No key is ever added to its table, because all runtimes begin with it. */
export const emptySeen: Seen = { table: new KeyTable(SMALLEST), end: 0 };

export function hasSeen({ table, end }: Seen, key: string): boolean {
  return table.has(hashOf(key), end);
}

export function addSeen(seen: Seen, key: string): Seen {
  const { table, end } = seen;
  const hash = hashOf(key);
  if (table.has(hash, end)) return seen;
  const isFull = end === 2 * SEEN_KEPT;
  const isNewest = end > 0 && end === table.size;
  const next = isNewest && !isFull && !table.isCrowded ? table : table.copy(isFull ? end - SEEN_KEPT : 0, end);
  // The only write into a shared table. It is safe because older sets ignore positions at or beyond their end.
  next.add(hash);
  return { table: next, end: next.size };
}

/** 1 to 2⁵³ − 1: two sums of 32 bits with different factors, each mixed into the other, as in MurmurHash3. */
function hashOf(key: string): number {
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (let at = 0; at < key.length; at += 1) {
    const code = key.charCodeAt(at);
    high = Math.imul(high ^ code, 0x9e3779b1);
    low = Math.imul(low ^ code, 0x5f356495);
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return (high >>> 11) * 2 ** 32 + (low >>> 0) || 1;
}
