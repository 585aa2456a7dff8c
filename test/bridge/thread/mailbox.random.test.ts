import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseThreadKey, type ThreadKey } from '../../../src/bridge/ids.ts';
import { newRecord } from '../../../src/bridge/record/inbox.ts';
import type { ThreadRecord } from '../../../src/bridge/record/thread-record.ts';
import { type Context, write } from '../../../src/bridge/thread/core/work.ts';
import { Mailbox } from '../../../src/bridge/thread/mailbox.ts';
import { ThreadState } from '../../../src/bridge/thread/state.ts';
import { createFakeClock } from '../../support/clock.ts';
import { MapThreads, silentLog, THREAD } from '../../support/middle.ts';

/** What happens to one access to the disk. */
type Fault = 'none' | 'fails' | 'fails once done';

interface Event {
  kind: 'on its own' | 'asked' | 'hurried' | 'posted';
  /** Whether what it leads to changes the record, too. */
  isChained: boolean;
  /** How long it is until the next one. */
  ms: number;
}

const fault = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Fault>('none') },
  { weight: 3, arbitrary: fc.constantFrom<Fault>('fails', 'fails once done') },
);
const event: fc.Arbitrary<Event> = fc.record({
  kind: fc.constantFrom('on its own', 'asked', 'hurried', 'posted'),
  isChained: fc.boolean(),
  ms: fc.constantFrom(0, 0, 500, 2_000),
});

/** These steps look at nothing besides the record. */
const nothing = {} as Context;

/** A disk that fails as it is told, then is well. */
class FailingThreads extends MapThreads {
  readonly #faults: Fault[];

  constructor(faults: readonly Fault[]) {
    super();
    this.#faults = [...faults];
  }

  override load(key: ThreadKey): Promise<ThreadRecord | null> {
    return (this.#faults.shift() ?? 'none') === 'none' ? super.load(key) : Promise.reject(new Error('unreadable'));
  }

  override update(...args: Parameters<MapThreads['update']>): Promise<ThreadRecord | null> {
    const now = this.#faults.shift();
    if (now === 'fails') this.failing = 1;
    if (now === 'fails once done') this.failingAfter = 1;
    return super.update(...args);
  }
}

/** Handles the events on that disk; tells what was done too early, twice, or not at all. */
async function findFaults(events: readonly Event[], faults: readonly Fault[]): Promise<string[]> {
  const clock = createFakeClock();
  const threads = new FailingThreads(faults);
  const state = new ThreadState(THREAD, { threads, clock, log: silentLog });
  let lost = 0;
  const onFailed = () => {
    lost += 1;
  };
  const mailbox = new Mailbox({ clock, log: silentLog, changes: state, onEmpty: () => undefined, onFailed });
  const wrong: string[] = [];
  const done = new Map<string, number>();
  const told = new Map<string, 'yes' | 'no'>();
  const countStored = (id: string) =>
    (threads.records.get(THREAD)?.participants ?? []).filter((each) => each === id).length;
  const begin = (id: string, isChained: boolean) => {
    const { team, channel, root } = parseThreadKey(THREAD);
    const work = state.begin(nothing);
    write(work, (known) => {
      const record = known ?? newRecord(THREAD, { team, channel, threadTs: root }, 'U01ALICE', 0);
      return { ...record, participants: [...record.participants, id] };
    });
    state.apply(work);
    mailbox.after(() => {
      done.set(id, (done.get(id) ?? 0) + 1);
      if (countStored(id) !== 1) wrong.push(`${id} was done before it was stored`);
      if (isChained) begin(`${id}+`, false);
    });
  };

  for (const [n, { kind, isChained, ms }] of events.entries()) {
    const id = `${kind} ${n}`;
    const work = () => begin(id, isChained);
    if (kind === 'on its own') mailbox.post(work);
    else {
      const asked = kind === 'posted' ? mailbox.posted(work) : mailbox.ask(work, { hurries: kind === 'hurried' });
      asked.then(
        () => {
          told.set(id, 'yes');
          if (countStored(id) !== 1) wrong.push(`${id} was told before it was stored`);
        },
        () => void told.set(id, 'no'),
      );
    }
    await clock.advance(ms);
  }
  await clock.advance(3_600_000);

  for (const [n, { kind, isChained }] of events.entries()) {
    const id = `${kind} ${n}`;
    if (kind !== 'on its own' && !told.has(id)) wrong.push(`${id} was never answered`);
    // The record could not even be read for it.
    if (kind === 'on its own' && countStored(id) === 0 && lost === 0) wrong.push(`${id} was lost`);
    if (told.get(id) === 'yes' && !done.has(id)) wrong.push(`${id} was not done`);
    for (const each of isChained ? [id, `${id}+`] : [id]) {
      if (countStored(each) > 1) wrong.push(`${each} was stored ${countStored(each)} times`);
      // Of a post that the disk took without saying so, its surface hears "no" and posts it again.
      const isSettled = kind !== 'posted' || each !== id;
      if (isSettled && countStored(each) !== (done.get(each) ?? 0)) wrong.push(`${each} was stored, not done`);
    }
  }
  return wrong;
}

describe('random events on a disk that fails at random', () => {
  it('each is stored at most once, before what it wants done', async () => {
    const events = fc.array(event, { minLength: 1, maxLength: 20 });
    const faults = fc.array(fault, { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(events, faults, async (some, bad) => {
        expect(await findFaults(some, bad)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });
});
