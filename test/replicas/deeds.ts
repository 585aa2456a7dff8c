import { setTimeout as sleep } from 'node:timers/promises';
import { type Expected, judge, type Verdict } from '../crash/judge.ts';
import { BRIDGE_STEPS, type Step } from '../crash/steps.ts';
import { Story } from '../crash/story.ts';
import type { Surface } from '../support/letta/real-letta.ts';
import { EXPIRY_MS, type House, type Place } from './house.ts';
import type { Replica } from './replica.ts';

export interface Stage {
  house: House;
  mode: Surface;
  noteVerdict(what: string, step: string, round: number, verdict: Verdict): void;
  /** How long nobody served a workspace, ms. */
  noteTakeover(what: string, ms: number): void;
}

/** Beyond the goal (the expiry and 2 s) on a machine that does other things besides. */
const TAKEN_WITHIN_MS = EXPIRY_MS + 15_000;
/** After everything is repaired. */
const SETTLED_WITHIN_MS = 60_000;
/** Longer than any lease. */
const FROZEN_MS = 60_000;
const DATABASE_AWAY_MS = 5_000;
/** Shorter than a lease. */
const DELAYED_MS = 4_000;
/** Each further round strikes this much later in the step. */
const LATER_MS = 13;
/** After a process goes on that has lost its workspaces. */
const STRAYS_WITHIN_MS = 5_000;

/** Where the threads of a workspace are when it happens; in each pair the shorter step comes last. */
const PAIRS: readonly (readonly [string, string])[] = [
  ['approval-shown', 'mid-stream'],
  ['stream-grown', 'submitted'],
  ['approval-clicked', 'acked'],
  ['stream-begun', 'first-post'],
  ['mid-stream', 'first-delta'],
  ['approval-shown', 'final-edit'],
];

interface Reached {
  story: Story;
  name: string;
  wasReached: boolean;
  wordsBefore: number;
}

const stepNamed = (name: string): Step => {
  const step = BRIDGE_STEPS.find((one) => one.name === name);
  if (!step) throw new Error(`no step ${name}`);
  return step;
};

/** Brings two threads in each workspace to a step. @param at chooses the steps; each workspace has other ones */
async function reachSteps(house: House, at: number): Promise<Reached[]> {
  const reached = house.places.map(async (place, n) => {
    const all: Reached[] = [];
    for (const name of PAIRS[(at + n) % PAIRS.length] ?? []) {
      const step = stepNamed(name);
      const story = new Story(place, step.kind);
      all.push({ story, name, wasReached: await step.reachIn(story, place), wordsBefore: 0 });
    }
    return all;
  });
  return (await Promise.all(reached)).flat();
}

const noteWords = (reached: readonly Reached[]) => {
  for (const each of reached) each.wordsBefore = each.story.words().length;
};

/** A message in each workspace while the processes are in trouble. */
async function sayMeanwhile(house: House): Promise<Reached[]> {
  return Promise.all(
    house.places.map(async (place) => {
      const story = new Story(place, 'words');
      await story.sayIt();
      return { story, name: 'meanwhile', wasReached: true, wordsBefore: 0 };
    }),
  );
}

async function judgeAll(
  { mode, noteVerdict }: Stage,
  what: string,
  round: number,
  all: readonly Reached[],
  since: number,
) {
  // A turn of an App Server ends with the socket of whoever asked for it (docs/letta-protocol.md, Loss and restart).
  const expected: Expected = mode === 'app-server' ? 'answered or interrupted' : 'answered';
  await Promise.all(
    all.map(async ({ story, name, wasReached, wordsBefore }) => {
      const limits = { expected, since, within: SETTLED_WITHIN_MS, wordsBefore, goesOnWithin: SETTLED_WITHIN_MS };
      const verdict = await judge(story, limits);
      const missed = wasReached ? [] : ['never reached'];
      const faults = [...missed, ...verdict.faults];
      noteVerdict(what, name, round, { ...verdict, lost: verdict.lost + missed.length, faults });
    }),
  );
}

/** What no thread shows: calls of processes without a lease, deliveries that nobody works off, processes not ready. */
async function judgeHouse(
  { house, noteVerdict }: Stage,
  what: string,
  round: number,
  since: number,
  more: readonly string[] = [],
): Promise<void> {
  const repairedAt = Date.now();
  const notReady = await house.whoIsNotReady();
  const readyAfter = Date.now() - repairedAt;
  await house.places[0]?.waitUntil(() => house.left.inbound === 0, 10_000);
  const strays = house.strayCalls(since);
  const leftOver = [
    ...notReady.map((one) => `not ready: ${one}`),
    ...(house.left.inbound > 0 ? [`${house.left.inbound} deliveries in bridge_inbound`] : []),
    ...more,
  ];
  noteVerdict(what, 'processes', round, {
    ...{ lost: 0, doubled: strays.length, leftOver: leftOver.length },
    outcome: leftOver.length === 0 ? 'ready' : 'not ready',
    settledAfter: notReady.length === 0 ? readyAfter : null,
    faults: [...strays, ...leftOver],
    story: '',
  });
}

interface Takeovers {
  /** When the last workspace was served again. */
  at: number;
  faults: string[];
}

/** Waits until others serve the workspaces. @param left who served them, and when it was struck; ms since 1970 */
async function waitForTakeover(
  { house, noteTakeover }: Stage,
  what: string,
  places: readonly Place[],
  since: number,
): Promise<Takeovers> {
  const found = await Promise.all(places.map((place) => house.takenOver(place, since, TAKEN_WITHIN_MS)));
  for (const at of found) if (at !== null) noteTakeover(what, at - since);
  const never = found.flatMap((at, n) => (at === null ? [`nobody took ${places[n]?.team} over`] : []));
  return { at: Math.max(since, ...found.map((at) => at ?? 0)), faults: never };
}

/** Starts killed processes again while something else is waited for; rejects only once it is awaited. */
function restart(house: House, killed: readonly Replica[]): Promise<unknown> {
  const started = Promise.all(killed.map((replica) => house.start(replica)));
  started.catch(() => undefined);
  return started;
}

const placesOf = (house: House, replicas: readonly Replica[]) =>
  house.places.filter((place) => replicas.includes(house.ownerOf(place)));

/** Kills whoever serves the first workspace, and its successor as soon as it serves it. */
export async function killSuccessor(stage: Stage, round: number): Promise<void> {
  const { house } = stage;
  const [first] = house.places;
  if (!first) return;
  const what = 'SIGKILL twice';
  const reached = await reachSteps(house, 3 + round);
  const since = Date.now();
  const faults: string[] = [];
  const killed: Replica[] = [];
  let at = since;
  const meanwhile: Reached[] = [];
  for (let n = 0; n < 2; n += 1) {
    const struckAt = Date.now();
    const owner = house.ownerOf(first);
    const places = placesOf(house, [owner]);
    killed.push(owner);
    await owner.kill();
    if (n === 0) {
      noteWords(reached);
      meanwhile.push(...(await sayMeanwhile(house)));
    }
    const taken = await waitForTakeover(stage, 'SIGKILL', places, struckAt);
    faults.push(...taken.faults);
    at = taken.at;
  }
  const restarted = restart(house, killed);
  await judgeAll(stage, what, round, [...reached, ...meanwhile], at);
  await restarted;
  await judgeHouse(stage, what, round, since, faults);
}

/** Kills all processes that serve a workspace; those that are left take over. */
export async function killOwners(stage: Stage, round: number): Promise<void> {
  const { house } = stage;
  const reached = await reachSteps(house, 2 * (round - 1));
  if (round > 1) await sleep((round - 1) * LATER_MS);
  const since = Date.now();
  const owners = house.owners();
  await Promise.all(owners.map((owner) => owner.kill()));
  noteWords(reached);
  const meanwhile = await sayMeanwhile(house);
  const { at, faults } = await waitForTakeover(stage, 'SIGKILL', house.places, since);
  const restarted = restart(house, owners);
  await judgeAll(stage, 'SIGKILL', round, [...reached, ...meanwhile], at);
  await restarted;
  await judgeHouse(stage, 'SIGKILL', round, since, faults);
}

/** People write in a workspace, each when the one before has been answered, until `isOver`. */
async function writeOn(place: Place, isOver: () => boolean): Promise<Reached[]> {
  const all: Reached[] = [];
  while (!isOver()) {
    const story = new Story(place, 'words');
    await story.sayIt();
    all.push({ story, name: 'under load', wasReached: true, wordsBefore: 0 });
    await place.waitUntil(() => isOver() || story.endings().length > 0, SETTLED_WITHIN_MS);
  }
  return all;
}

/**
 * Ends one process after the other, and starts it again, while people write. In odd rounds they let their turns end
 * first, in even ones Letta goes on with them alone.
 */
export async function restartAll(stage: Stage, round: number): Promise<void> {
  const { house } = stage;
  const began = Date.now();
  const all = await reachSteps(house, 1 + 2 * (round - 1));
  const faults: string[] = [];
  let isOver = false;
  const load = house.places.map((place) => writeOn(place, () => isOver));
  const isDraining = round % 2 === 1;
  try {
    for (const replica of house.replicas) {
      const places = placesOf(house, [replica]);
      const since = Date.now();
      const stopped = replica.stop();
      const what = isDraining ? 'SIGTERM, turns end first' : 'SIGTERM';
      const taken = await waitForTakeover(stage, what, places, since);
      const code = await stopped;
      if (code !== 0) faults.push(`${replica.name} ended with ${code}`);
      faults.push(...taken.faults);
      await house.start(replica, isDraining ? { DRAIN_TIMEOUT: '0s' } : {});
    }
  } finally {
    isOver = true;
  }
  all.push(...(await Promise.all(load)).flat());
  await judgeAll(stage, 'SIGTERM', round, all, Date.now());
  await judgeHouse(stage, 'SIGTERM', round, began, faults);
}

/**
 * Stops the process that serves the first workspace, and lets it go on.
 * @param ms how long; left out: until another process serves its workspaces, and not a moment longer
 */
async function freezeOwner(stage: Stage, round: number, what: string, ms?: number): Promise<void> {
  const { house } = stage;
  const [first] = house.places;
  if (!first) return;
  const reached = await reachSteps(house, (ms === undefined ? 0 : 4) + 2 * (round - 1));
  const since = Date.now();
  const frozen = house.ownerOf(first);
  const places = placesOf(house, [frozen]);
  frozen.signal('SIGSTOP');
  let meanwhile: Reached[] = [];
  let taken: Takeovers;
  try {
    noteWords(reached);
    meanwhile = await sayMeanwhile(house);
    taken = await waitForTakeover(stage, 'SIGSTOP', places, since);
    if (ms !== undefined) await sleep(since + ms - Date.now());
  } finally {
    frozen.signal('SIGCONT');
  }
  await sleep(STRAYS_WITHIN_MS);
  await judgeAll(stage, what, round, [...reached, ...meanwhile], Date.now());
  await judgeHouse(stage, what, round, since, taken.faults);
}

export const freezeForLong = (stage: Stage, round: number): Promise<void> =>
  freezeOwner(stage, round, 'SIGSTOP 60 s', FROZEN_MS);

export const freezeUntilReplaced = (stage: Stage, round: number): Promise<void> =>
  freezeOwner(stage, round, 'SIGSTOP until replaced');

/** Ends the database while threads are at work, and starts it again. @param how as a crash, or in order */
export async function restartDatabase(stage: Stage, round: number, how: 'crashed' | 'restarted'): Promise<void> {
  const { house } = stage;
  const what = `database ${how}`;
  const reached = await reachSteps(house, how === 'crashed' ? 0 : 2);
  const since = Date.now();
  await (how === 'crashed' ? house.database.crash() : house.database.shutDown());
  const faults: string[] = [];
  noteWords(reached);
  const meanwhile = await sayMeanwhile(house);
  await sleep(DATABASE_AWAY_MS);
  for (const replica of house.replicas) {
    const readiness = await replica.readiness();
    if (readiness?.status !== 503) faults.push(`${replica.name} is ready without a database`);
  }
  await house.database.start();
  await judgeAll(stage, what, round, [...reached, ...meanwhile], Date.now());
  await judgeHouse(stage, what, round, since, faults);
}

type Cut = 'silent' | 'delayed' | 'half-closed' | 'reset';

/** Does something to the network between the database and whoever serves the first workspace. */
export async function cutOwner(stage: Stage, round: number, how: Cut): Promise<void> {
  const { house } = stage;
  const what = `connection ${how}`;
  const [first] = house.places;
  if (!first) return;
  const at = ['silent', 'delayed', 'half-closed', 'reset'].indexOf(how);
  const reached = await reachSteps(house, at + round - 1);
  const since = Date.now();
  const owner = house.ownerOf(first);
  const { network } = owner;
  const faults: string[] = [];
  let meanwhile: Reached[] = [];
  if (how === 'silent') {
    network.set({ toServer: 'drop', toClient: 'drop' });
    meanwhile = await sayMeanwhile(house);
    const taken = await waitForTakeover(stage, what, placesOf(house, [owner]), since);
    faults.push(...taken.faults);
    const readiness = await owner.readiness();
    if (readiness?.status !== 503) faults.push(`${owner.name} is ready without a database`);
    await sleep(STRAYS_WITHIN_MS);
    network.set({ toServer: 'pass', toClient: 'pass' });
    network.cut();
  } else if (how === 'delayed') {
    network.set({ toServer: 'hold', toClient: 'hold' });
    meanwhile = await sayMeanwhile(house);
    await sleep(DELAYED_MS);
    network.release();
  } else {
    network.cut(how === 'reset' ? 'reset' : 'half');
    meanwhile = await sayMeanwhile(house);
  }
  await judgeAll(stage, what, round, [...reached, ...meanwhile], Date.now());
  await judgeHouse(stage, what, round, since, faults);
}
