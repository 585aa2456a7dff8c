import type { Tokens } from '../agent-event.ts';
import { isDirect, type TeamId } from '../ids.ts';
import type { Choices, Clock, Log } from '../ports.ts';
import type { UsedTurn } from '../turn/steps.ts';
import { moreUsageText, USAGE, usageHeadText, usageLine, usageModel } from '../words/usage.ts';

interface UsageParts {
  choices: Choices;
  clock: Pick<Clock, 'now'>;
  team: TeamId;
  log: Log;
}

/** For how many days usage is kept. */
export const USAGE_DAYS = 35;
const DAY_MS = 24 * 60 * 60_000;
/** How many rows a day has: what comes beyond that counts for `other`. */
const ROWS = 500;
const OTHER = 'other';
/** Characters of a model's name. */
const MODEL = 100;
/** How many lines each list has. */
const LISTED = 10;

/** Turns and tokens of one person in one channel with one model; direct messages count as one channel. */
type Row = [user: string, channel: string, model: string, turns: number, input: number, cached: number, output: number];

interface Day {
  /** Days since 1970, UTC. */
  day: number;
  rows: Row[];
}

/**
 * Counts what turns use, by day, person, channel and model: one row of the store for each of the last days, so nothing
 * grows with the number of threads. Texts are not kept. What a crash cuts off is not counted.
 */
export class UsageBook {
  readonly #parts: UsageParts;
  #saving: Promise<unknown> = Promise.resolve();
  /** The day for which what is too old was dropped. */
  #tidied = -1;

  constructor(parts: UsageParts) {
    this.#parts = parts;
  }

  /** Never rejects: usage must not disturb a turn. */
  note(used: UsedTurn): Promise<void> {
    const saved = this.#saving.then(() => this.#note(used));
    this.#saving = saved.catch((error: unknown) => this.#parts.log.warn({ err: error }, 'could not count a turn'));
    return this.#saving as Promise<void>;
  }

  async #note({ user, channel, model, tokens }: UsedTurn): Promise<void> {
    const { choices, clock } = this.#parts;
    const day = Math.floor(clock.now() / DAY_MS);
    if (this.#tidied !== day) await this.#dropOld(day);
    const stored = await this.#load(day);
    const place = isDirect(channel) ? 'dm' : channel;
    const rows = addUse(stored, [user, place, (model ?? '').slice(0, MODEL)], tokens);
    await choices.set(this.#name(day), JSON.stringify({ day, rows }));
  }

  /** The counts of the last days, today included, in any order. */
  async list(days: number): Promise<readonly Row[]> {
    await this.#saving;
    const today = Math.floor(this.#parts.clock.now() / DAY_MS);
    const wanted = Array.from({ length: Math.min(days, USAGE_DAYS) }, (_, at) => today - at);
    return (await Promise.all(wanted.map((day) => this.#load(day)))).flat();
  }

  async #load(day: number): Promise<Row[]> {
    const stored = readDay(await this.#parts.choices.get(this.#name(day)));
    return stored?.day === day ? stored.rows : [];
  }

  /** Once a day: a day's place in the store is used again after so many days, but perhaps nothing comes then. */
  async #dropOld(today: number): Promise<void> {
    const { choices } = this.#parts;
    for (let slot = 0; slot < USAGE_DAYS; slot += 1) {
      const stored = readDay(await choices.get(this.#name(slot)));
      if (stored && stored.day <= today - USAGE_DAYS) await choices.set(this.#name(slot), '');
    }
    this.#tidied = today;
  }

  #name(day: number): string {
    return `usage:${this.#parts.team}:${day % USAGE_DAYS}`;
  }
}

function addUse(rows: readonly Row[], key: readonly [string, string, string], tokens: Tokens | null): Row[] {
  const isKey = ([user, channel, model]: Row, [a, b, c]: readonly string[]) =>
    user === a && channel === b && model === c;
  const known = rows.findIndex((row) => isKey(row, key));
  const other = [OTHER, OTHER, OTHER] as const;
  const at = known >= 0 || rows.length < ROWS ? known : rows.findIndex((row) => isKey(row, other));
  const place = known >= 0 || rows.length < ROWS ? key : other;
  const [, , , turns, input, cached, output] = rows[at] ?? [...place, 0, 0, 0, 0];
  const used = tokens ?? { input: 0, cached: 0, output: 0 };
  const next: Row = [...place, turns + 1, input + used.input, cached + used.cached, output + used.output];
  return at < 0 ? [...rows, next] : rows.with(at, next);
}

function readDay(stored: string | null): Day | null {
  if (!stored) return null;
  try {
    const { day, rows } = JSON.parse(stored) as Partial<Day>;
    return typeof day === 'number' && Array.isArray(rows) ? { day, rows: rows.filter(isRow) } : null;
  } catch {
    return null;
  }
}

function isRow(row: unknown): row is Row {
  if (!Array.isArray(row) || row.length !== 7) return false;
  return row.every((cell, at) => typeof cell === (at < 3 ? 'string' : 'number'));
}

/** How many days the words after `!usage` ask for; `null`: they ask for something else. */
export function readUsageDays(args: string): number | null {
  const asked = args.trim() === '' ? '7d' : args.trim();
  const days = Number(/^(\d{1,3}) ?d(?:ays?)?$/i.exec(asked)?.[1]);
  return days >= 1 && days <= USAGE_DAYS ? days : null;
}

/** Who used how much, most first, in Markdown of ours. */
export function usageText(rows: readonly Row[], days: number): string {
  if (rows.length === 0) return USAGE.nothing;
  const all = summed(rows, () => '')[0];
  if (!all) return USAGE.nothing;
  return [
    usageHeadText(days, all.turns, all.tokens),
    USAGE.byPerson,
    ...lines(rows, ([user]) => (user === OTHER ? USAGE.other : `<@${user}>`)),
    USAGE.byChannel,
    ...lines(rows, ([, channel]) =>
      channel === 'dm' ? USAGE.direct : channel === OTHER ? USAGE.other : `<#${channel}>`,
    ),
    USAGE.byModel,
    ...lines(rows, ([, , model]) => (model === '' ? USAGE.noModel : model === OTHER ? USAGE.other : usageModel(model))),
  ].join('\n');
}

function lines(rows: readonly Row[], whose: (row: Row) => string): string[] {
  const all = summed(rows, whose);
  const shown = all.slice(0, LISTED).map(({ name, turns, tokens }) => usageLine(name, turns, tokens));
  return all.length > LISTED ? [...shown, moreUsageText(all.length - LISTED)] : shown;
}

function summed(rows: readonly Row[], whose: (row: Row) => string): { name: string; turns: number; tokens: Tokens }[] {
  const sums = new Map<string, { name: string; turns: number; tokens: Tokens }>();
  for (const row of rows) {
    const [, , , turns, input, cached, output] = row;
    const name = whose(row);
    const sum = sums.get(name) ?? { name, turns: 0, tokens: { input: 0, cached: 0, output: 0 } };
    sums.set(name, {
      name,
      turns: sum.turns + turns,
      tokens: {
        input: sum.tokens.input + input,
        cached: sum.tokens.cached + cached,
        output: sum.tokens.output + output,
      },
    });
  }
  const total = ({ tokens: { input, output } }: { tokens: Tokens }) => input + output;
  return [...sums.values()].toSorted((a, b) => total(b) - total(a) || b.turns - a.turns);
}
