import { BoundedMap } from '../../bounded-map.ts';
import type { TeamId, UserId } from '../ids.ts';
import type { Choices, Log } from '../ports.ts';

export interface NotifyTimesParts {
  choices: Choices;
  team: TeamId;
  log: Log;
  /** ms for everyone who chose nothing else; 0: never. */
  usual: number;
}

/** What people can choose, in ms; 0: never. */
export const NOTIFY_CHOICES: readonly number[] = [60_000, 300_000, 900_000, 0];

/** How many people's choices are kept; the one made longest ago is forgotten first. */
const KEPT = 5_000;

/** After how long the end of a turn notifies its requester: as usual, or as they chose. Stored in one small row. */
export class NotifyTimes {
  readonly #parts: NotifyTimesParts;
  #chosen = new BoundedMap<UserId, number>(KEPT);
  #loading: Promise<void> | null = null;
  #saving: Promise<unknown> = Promise.resolve();

  /** Begins to load what is stored; until that is there, everyone is notified as usual. */
  constructor(parts: NotifyTimesParts) {
    this.#parts = parts;
    this.#load().catch((error: unknown) => {
      parts.log.warn({ err: error }, 'could not read when people want to be notified');
    });
  }

  get usual(): number {
    return this.#parts.usual;
  }

  /** ms; 0: never. */
  get(user: UserId): number {
    return this.#chosen.get(user) ?? this.usual;
  }

  /** ms; `null`: as usual. */
  getChosen(user: UserId): number | null {
    return this.#chosen.get(user) ?? null;
  }

  /** Takes effect, and resolves, once it is on disk. @param ms `null`: as usual */
  choose(user: UserId, ms: number | null): Promise<void> {
    const saved = this.#saving.then(() => this.#store(user, ms));
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  async #store(user: UserId, ms: number | null): Promise<void> {
    await this.#load();
    const next = new BoundedMap(KEPT, this.#chosen);
    if (ms === null) next.delete(user);
    else next.set(user, ms);
    await this.#parts.choices.set(this.#name, JSON.stringify([...next]));
    this.#chosen = next;
  }

  get #name(): string {
    return `notify-after:${this.#parts.team}`;
  }

  /** Reads the row once; after a failure again at the next call. */
  #load(): Promise<void> {
    this.#loading ??= this.#parts.choices.get(this.#name).then(
      (stored) => {
        this.#chosen = new BoundedMap(KEPT, readChosen(stored));
      },
      (error: unknown) => {
        this.#loading = null;
        throw error;
      },
    );
    return this.#loading;
  }
}

/** Without entries that do not parse: another version, or a person, wrote them. */
function readChosen(stored: string | null): [UserId, number][] {
  try {
    const rows: unknown = JSON.parse(stored ?? '[]');
    if (!Array.isArray(rows)) return [];
    return rows.flatMap((row: unknown): [UserId, number][] => {
      const [user, ms] = Array.isArray(row) ? row : [];
      return typeof user === 'string' && NOTIFY_CHOICES.includes(ms as number) ? [[user, ms as number]] : [];
    });
  } catch {
    return [];
  }
}
