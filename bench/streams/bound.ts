/*
 * How fresh text can be at best, and how soon a last edit can be there, on a Slack that takes `limit` edits in any 60 s
 * for the whole workspace. Bounds for any scheduler, but one that knows when a turn will end.
 *
 * What can be spent. Over a time W that is long against the window (under load at both ends of it, so that nothing was
 * saved before) Slack takes limit·W/60 s edits. Each turn that ends in W needs one of them for its last words. A
 * turn's first words are posted, which another method pays for, and at once, since that is promised. What is left are
 * the edits that show text of turns which still write:
 *
 *     live edits = limit·W/60 s − ends
 *
 * What one buys. Just after its text was taken for a call nothing of a turn is unseen; t later the oldest unseen word
 * is at least t − δ old, δ being the pause between two words, and the call itself was seen only d after it was made,
 * half a round trip. So an age of x + d − δ or less is had for at most x after each post and each edit, and only while
 * the turn writes. Let S(t) be the share of turns that still write t after they began. Of all turns a post at 0 pays
 * for ∫₀ˣ S, and an edit of those that are still there at r costs S(r) edits a turn and pays for ∫ᵣʳ⁺ˣ S at most.
 * Where turns get likelier to end the longer they last (they do here), the earlier edits buy more: so nothing pays
 * for more than edits at x, 2x, 3x … for as long as there are edits. Where that comes to less than the share p of the
 * time in which turns write, no scheduler has its quantile p at x; the smallest x where it does not is the bound.
 *
 * Far from the ends this is plainly the time between two edits of a thread when all are served in turn, N·60 s/limit,
 * times p: 12 s for the median of twenty threads that never end, 22.8 s for p95. Who starves some threads for the
 * good of others wins nothing by it, not even in the median.
 *
 * Last edits. Whoever shows text as fresh as that has used the window up, and a last edit waits until an older one
 * falls out of it. What a scheduler kept back is free when turns end (and each edit kept back makes all live text
 * older by 1/limit); from there on the window alone decides: the k-th last edit cannot be sooner than the moment at
 * which fewer than `limit` edits lie in the 60 s before.
 */

export interface Load {
  /** Edits that Slack takes in 60 s. */
  limit: number;
  /** Length of the time looked at, ms. */
  window: number;
  /** Sum over all turns of the time in which they wrote there, ms. */
  writing: number;
  /** Turns that ended there. */
  ends: number;
  /** The shortest and the longest turn, ms; every length between as often as any other. */
  turns: { shortest: number; longest: number };
  /** ms between two words. */
  wordGap: number;
  /** ms of a call there and back. */
  roundTrip: number;
}

/** The least age of the oldest unseen word at that quantile, ms. */
export function stalenessBound(load: Load, quantile: number): number {
  const { turns, wordGap, roundTrip } = load;
  const mean = (turns.shortest + turns.longest) / 2;
  const edits = editsPerTurn(load);
  const x = smallestThat(turns.longest, (age) => coveredMs(age, edits, turns) >= quantile * mean);
  return x + roundTrip / 2 - wordGap;
}

function editsPerTurn({ limit, window, writing, ends, turns }: Load): number {
  return ((limit * window) / 60_000 - ends) / (writing / ((turns.shortest + turns.longest) / 2));
}

/** To half a ms, where `holds` for all from some value on. */
function smallestThat(most: number, holds: (value: number) => boolean): number {
  let [low, high] = [0, most];
  while (high - low > 0.5) {
    const middle = (low + high) / 2;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * The same for a scheduler that serves the longest waiting first, which is what fairness asks for, and is otherwise as
 * good as can be: it edits a thread whenever its text is G old, G being the time for which there are edits.
 */
export function fairStaleness(load: Load, quantile: number): number {
  const { turns, wordGap, roundTrip } = load;
  const mean = (turns.shortest + turns.longest) / 2;
  const edits = editsPerTurn(load);
  const gap = smallestThat(turns.longest, (g) => sumOverTurn(g, turns, (at) => shareStillWriting(at, turns)) <= edits);
  const fresh = (x: number) =>
    sumOverTurn(gap, turns, (at) => meanWritingMs(at + Math.min(x, gap), turns) - meanWritingMs(at, turns), 0);
  return smallestThat(gap, (x) => fresh(x) >= quantile * mean) + roundTrip / 2 - wordGap;
}

/** Sum over gap, 2·gap, … (or from 0) as long as turns write. */
function sumOverTurn(gap: number, { longest }: Load['turns'], what: (at: number) => number, from = gap): number {
  let sum = 0;
  for (let at = from; at < longest; at += gap) sum += what(at);
  return sum;
}

/** Of a turn, ms that are at most `x` after its post or one of its edits, with so many edits a turn, well spent. */
function coveredMs(x: number, edits: number, turns: Load['turns']): number {
  let sum = meanWritingMs(x, turns);
  let left = edits;
  for (let at = x; at < turns.longest && left > 0; at += x) {
    const cost = shareStillWriting(at, turns);
    const share = Math.min(1, left / cost);
    sum += share * (meanWritingMs(at + x, turns) - meanWritingMs(at, turns));
    left -= cost;
  }
  return sum;
}

/** S: the share of turns that still write at `t` after they began. */
function shareStillWriting(t: number, { shortest, longest }: Load['turns']): number {
  return t <= shortest ? 1 : Math.max(0, (longest - t) / (longest - shortest));
}

/** ∫ S from 0 to t: how long a turn writes within its first `t` ms, on average. */
function meanWritingMs(t: number, { shortest, longest }: Load['turns']): number {
  if (t <= shortest) return t;
  const over = Math.min(t, longest) - shortest;
  return shortest + over - (longest > shortest ? over ** 2 / (2 * (longest - shortest)) : 0);
}

/**
 * How long each last edit has to wait at least, in order of the ends.
 * @param edits when the edits before took effect, ascending
 */
export function waitsOfLastEdits(edits: readonly number[], ends: readonly number[], limit: number): number[] {
  const taken = [...edits];
  return ends
    .toSorted((a, b) => a - b)
    .map((end) => {
      const last = taken[taken.length - limit];
      const at = Math.max(end, last === undefined ? end : last + 60_000);
      taken.push(at);
      return at - end;
    });
}
