/** Frames of one conversation that came while no thread listened to it. */
interface Kept {
  runtime: string;
  text: string;
  at: number;
}

const MOST_FRAMES = 2_000;
const MOST_LETTERS = 8 * 1024 * 1024;
/**
 * Threads listen again within moments after their device came back. What is older stands in the replay and the history,
 * and would be told twice.
 */
const KEPT_MS = 10_000;

/**
 * What a device says before the thread that it concerns listens: an open request right after it dialled in, the text of
 * a turn that goes on, the first state of a new conversation.
 */
export class UnclaimedFrames {
  #frames: Kept[] = [];
  #letters = 0;

  keep(runtime: string, text: string, now: number): void {
    this.#frames.push({ runtime, text, at: now });
    this.#letters += text.length;
    let drop = 0;
    for (const { at, text: old } of this.#frames) {
      const isFull = this.#frames.length - drop > MOST_FRAMES || this.#letters > MOST_LETTERS;
      if (!isFull && now - at <= KEPT_MS) break;
      this.#letters -= old.length;
      drop += 1;
    }
    if (drop > 0) this.#frames = this.#frames.slice(drop);
  }

  /** The frames of this conversation, in the order in which they came; they are gone afterwards. */
  take(runtime: string, now: number): string[] {
    const taken: string[] = [];
    this.#frames = this.#frames.filter((frame) => {
      if (frame.runtime !== runtime) return true;
      this.#letters -= frame.text.length;
      if (now - frame.at <= KEPT_MS) taken.push(frame.text);
      return false;
    });
    return taken;
  }

  clear(): void {
    this.#frames = [];
    this.#letters = 0;
  }
}
