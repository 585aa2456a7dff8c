import type { TeamId, ThreadKey, TurnId, UserId } from '../ids.ts';
import type { Choices, Clock } from '../ports.ts';

/** What a person thinks of the answer of one turn. */
export interface Feedback {
  thread: ThreadKey;
  turn: TurnId;
  user: UserId;
  /** ms since 1970 */
  at: number;
  verdict: 'good' | 'bad';
  /** What was wrong; `null`: they did not say. */
  words: string | null;
}

export interface FeedbackParts {
  choices: Choices;
  clock: Pick<Clock, 'now'>;
  team: TeamId;
  /** How long it is kept: as long as the details of the turn. */
  keptMs: number;
}

const KEPT = 300;
const WORDS = 300;

/** What people think of answers: the latest of each person about each turn, in one row that is read before each change. */
export class FeedbackBook {
  readonly #parts: FeedbackParts;
  #saving: Promise<unknown> = Promise.resolve();

  constructor(parts: FeedbackParts) {
    this.#parts = parts;
  }

  /** Resolves when it is on disk. An earlier word of the same person about the same turn is replaced. */
  note(given: Omit<Feedback, 'at'>): Promise<void> {
    const saved = this.#saving.then(async () => {
      const { clock, choices } = this.#parts;
      const one = { ...given, at: clock.now(), words: given.words?.slice(0, WORDS) ?? null };
      const others = (await this.list()).filter(({ user, turn }) => user !== given.user || turn !== given.turn);
      await choices.set(this.#name, JSON.stringify([...others, one].slice(-KEPT)));
    });
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  /** Forgets what this person said about the turn, if it was that. Resolves with whether it was, when it is on disk. */
  async takeBack({ turn, user, verdict }: Pick<Feedback, 'turn' | 'user' | 'verdict'>): Promise<boolean> {
    let wasSaid = false;
    const saved = this.#saving.then(async () => {
      const all = await this.list();
      const others = all.filter((each) => each.user !== user || each.turn !== turn || each.verdict !== verdict);
      wasSaid = others.length < all.length;
      if (wasSaid) await this.#parts.choices.set(this.#name, JSON.stringify(others));
    });
    this.#saving = saved.catch(() => undefined);
    await saved;
    return wasSaid;
  }

  /** Whether this person said that about the turn. */
  async hasSaid({ turn, user, verdict }: Pick<Feedback, 'turn' | 'user' | 'verdict'>): Promise<boolean> {
    await this.#saving;
    return (await this.list()).some((each) => each.user === user && each.turn === turn && each.verdict === verdict);
  }

  /** Oldest first; none that is older than it is kept. */
  async list(): Promise<Feedback[]> {
    const { clock, choices, keptMs } = this.#parts;
    const since = clock.now() - keptMs;
    return readFeedback(await choices.get(this.#name)).filter(({ at }) => at >= since);
  }

  get #name(): string {
    return `feedback:${this.#parts.team}`;
  }
}

/** Without entries that do not parse: another version, or a person, wrote them. */
function readFeedback(stored: string | null): Feedback[] {
  try {
    const rows: unknown = JSON.parse(stored ?? '[]');
    return Array.isArray(rows) ? rows.filter(isFeedback) : [];
  } catch {
    return [];
  }
}

function isFeedback(row: unknown): row is Feedback {
  if (typeof row !== 'object' || row === null) return false;
  const { thread, turn, user, at, verdict, words } = row as Record<string, unknown>;
  const areTexts = [thread, turn, user].every((text) => typeof text === 'string');
  const isVerdict = verdict === 'good' || verdict === 'bad';
  return areTexts && typeof at === 'number' && isVerdict && (words === null || typeof words === 'string');
}
