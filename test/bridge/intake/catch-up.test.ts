import { beforeEach, describe, expect, it } from 'vitest';
import { makeMessageKey, makeThreadKey, parseThreadKey, type ThreadKey } from '../../../src/bridge/ids.ts';
import type { InboundMessage } from '../../../src/bridge/inbound.ts';
import { CatchUp, type CatchUpParts } from '../../../src/bridge/intake/catch-up.ts';
import { RecentKeys } from '../../../src/bridge/intake/recent-keys.ts';
import type { Choices, History, Past } from '../../../src/bridge/ports.ts';
import { createFakeClock, type FakeClock } from '../../support/clock.ts';
import { silentLog, TEAM } from '../../support/middle.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MARK = `caught-up-to:${TEAM}`;

class MapChoices implements Choices {
  readonly rows = new Map<string, string>();
  writes = 0;
  get = (name: string) => Promise.resolve(this.rows.get(name) ?? null);
  set = (name: string, value: string) => {
    this.writes += 1;
    this.rows.set(name, value);
    return Promise.resolve();
  };
}

/** What Slack has, by channel or `channel/root`; `null`: it may not be read; an error: not now. */
class HandHistory implements History {
  readonly places = new Map<string, Past | null | Error>();
  readonly asked: { place: string; after: string }[] = [];
  gate: Promise<void> = Promise.resolve();

  readChannel = (channel: string, after: string) => this.#look(channel, after);
  readThread = (channel: string, root: string, after: string) => this.#look(`${channel}/${root}`, after);

  async #look(place: string, after: string): Promise<Past | null> {
    this.asked.push({ place, after });
    await this.gate;
    const past = this.places.get(place);
    if (past instanceof Error) throw past;
    return past === undefined ? { messages: [], threads: [], isComplete: true } : past;
  }
}

let clock: FakeClock;
let choices: MapChoices;
let history: HandHistory;
let recent: RecentKeys<ThreadKey>;
let taken: { key: string; caughtUp: boolean }[];
let failing: Set<string>;

function create(limits: Partial<CatchUpParts['limits']> = {}): CatchUp {
  const base = { choices, clock, log: silentLog, team: TEAM };
  const all = { maxAgeMs: 24 * HOUR, threads: 200, threadAgeMs: 7 * 24 * HOUR, ...limits };
  recent = new RecentKeys({ ...base, name: `recent-threads:${TEAM}`, parse: parseThreadKey, limit: all.threads });
  const handleMessage: CatchUpParts['intake']['handleMessage'] = async (inbound, how) => {
    if (failing.has(inbound.ts)) throw new Error('disk full');
    if (inbound.mentionsBot && inbound.threadTs === null) recent.noteKey(thread(inbound.ts, inbound.channel));
    taken.push({ key: inbound.key, caughtUp: how?.caughtUp === true });
    return { outcome: 'accepted' };
  };
  return new CatchUp({ ...base, history, recent, intake: { handleMessage }, limits: all });
}

const thread = (root: string, channel = 'C1'): ThreadKey => makeThreadKey({ team: TEAM, channel, root });

function message(ts: string, channel = 'C1'): InboundMessage {
  const place = {
    key: makeMessageKey({ team: TEAM, channel, ts }),
    team: TEAM,
    channel,
    channelKind: 'channel',
  } as const;
  const by = { user: 'U1', userTeam: null, external: false, spans: [], files: [], mentionsBot: true };
  return { ...place, ts, threadTs: null, ...by };
}

const past = (...ts: string[]): Past => ({ messages: ts.map((each) => message(each)), threads: [], isComplete: true });
const places = () => history.asked.map(({ place }) => place);
const mark = () => Number(choices.rows.get(MARK));

beforeEach(() => {
  clock = createFakeClock();
  choices = new MapChoices();
  history = new HandHistory();
  taken = [];
  failing = new Set();
});

/** A life of the bridge in which these threads were used, ended long ago. */
async function earlierLife(...threads: ThreadKey[]): Promise<void> {
  const life = create();
  await life.start();
  life.setConnected(true);
  for (const key of threads) {
    recent.noteKey(key);
    await clock.advance(1_000);
  }
  life.setConnected(false);
  await life.stop();
  await clock.advance(2 * HOUR);
}

describe('catch-up', () => {
  it('first start: reads nothing and begins to store its mark', async () => {
    const life = create();
    await life.start();
    expect(choices.rows.has(MARK)).toBe(false);
    life.setConnected(true);
    await clock.advance(10 * MINUTE);
    expect(history.asked).toEqual([]);
    expect(clock.now() - mark()).toBeLessThanOrEqual(30_000);
  });

  it('reads channels latest first, after each a thread of those', async () => {
    await earlierLife(thread('1.1'), thread('2.2', 'C2'), thread('dm', 'D1'), thread('3.3'));
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C1', 'C1/3.3', 'D1', 'C1/1.1', 'C2', 'C2/2.2']);
  });

  it('reads back to the mark plus overlap, at most the age limit', async () => {
    await earlierLife(thread('1.1'));
    const marked = mark();
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(Number(history.asked[0]?.after)).toBe(Math.floor((marked - 2 * MINUTE) / 1000));

    life.setConnected(false);
    await clock.advance(48 * HOUR);
    history.asked.length = 0;
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(clock.now() / 1000 - Number(history.asked[0]?.after)).toBeLessThanOrEqual(24 * 3600 + 61);
  });

  it('skips threads over the limit and threads unused for too long', async () => {
    await earlierLife(...['1.1', '2.1', '3.1', '4.1'].map((root) => thread(root)));
    let life = create({ threads: 2 });
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C1', 'C1/4.1', 'C1/3.1']);
    await life.stop();
    history.asked.length = 0;
    life = create({ threadAgeMs: HOUR });
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual([]);
  });

  it('passes what it finds to the intake and follows threads with replies', async () => {
    await earlierLife(thread('1.1'));
    history.places.set('C1', { ...past('5.1'), threads: ['5.1'] });
    history.places.set('C1/5.1', past('5.2', '5.3'));
    history.places.set('C1/1.1', past('4.1'));
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(taken.map(({ key }) => key.split(':')[2])).toEqual(['5.1', '5.2', '5.3', '4.1']);
    expect(taken.every(({ caughtUp }) => caughtUp)).toBe(true);
  });

  it('reads a thread right after its channel shows a reply', async () => {
    await earlierLife(...[1, 2, 3].flatMap((n) => [thread(`${n}.1`, `C${n}`), thread(`${n}.2`, `C${n}`)]));
    history.places.set('C2', { messages: [], threads: ['2.1'], isComplete: true });
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C3', 'C3/3.2', 'C2', 'C2/2.1', 'C1', 'C3/3.1', 'C2/2.2', 'C1/1.2', 'C1/1.1']);
  });

  it("reads its own threads before other people's", async () => {
    await earlierLife(thread('1.1'), thread('2.1'));
    const others = Array.from({ length: 300 }, (_, n) => `${n + 10}.7`);
    history.places.set('C1', { messages: [], threads: [...others, '1.1'], isComplete: true });
    const life = create({ threads: 5 });
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C1', 'C1/1.1', 'C1/2.1', 'C1/10.7', 'C1/11.7', 'C1/12.7']);
  });

  it('crash while reading: keeps the old mark and reads everything again', async () => {
    await earlierLife(thread('1.1'));
    const marked = mark();
    history.gate = new Promise(() => undefined);
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(10 * MINUTE);
    expect(places()).toEqual(['C1']);
    expect(mark()).toBe(marked);

    history.gate = Promise.resolve();
    const next = create();
    await next.start();
    next.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C1', 'C1', 'C1/1.1']);
    expect(mark()).toBeGreaterThan(marked);
  });

  it('failed read or store: retries within seconds, then moves the mark', async () => {
    await earlierLife(thread('1.1'), thread('2.2', 'C2'));
    const marked = mark();
    history.places.set('C2', new Error('slack is away'));
    history.places.set('C1', past('5.1', '5.2'));
    failing.add('5.1');
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(5_000);
    expect(taken.map(({ key }) => key.split(':')[2])).toEqual(['5.2']);
    expect(mark()).toBe(marked);
    history.places.delete('C2');
    failing.clear();
    await clock.advance(15_000);
    expect(taken.map(({ key }) => key.split(':')[2])).toEqual(['5.2', '5.1', '5.2']);
    expect(mark()).toBeGreaterThan(marked);
  });

  it('unreadable channel: does not read its threads either', async () => {
    await earlierLife(thread('1.1'), thread('2.2', 'C2'));
    history.places.set('C1', null);
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C2', 'C2/2.2', 'C1']);
  });

  it('reads after each lost connection, also one lost while it was reading', async () => {
    await earlierLife(thread('1.1'));
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(HOUR);
    history.asked.length = 0;
    let open = () => {};
    history.gate = new Promise((resolve) => {
      open = resolve;
    });
    life.setConnected(false);
    await clock.advance(MINUTE);
    life.setConnected(true);
    await clock.advance(MINUTE);
    life.setConnected(false);
    await clock.advance(MINUTE);
    life.setConnected(true);
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C1']);
    open();
    await clock.advance(MINUTE);
    expect(places()).toEqual(['C1', 'C1/1.1', 'C1', 'C1/1.1']);
  });

  it('first mark cannot be stored: tries again within seconds', async () => {
    const life = create();
    await life.start();
    const { set } = choices;
    choices.set = () => Promise.reject(new Error('disk full'));
    life.setConnected(true);
    await clock.advance(1_000);
    choices.set = set;
    await clock.advance(3_000);
    expect(clock.now() - mark()).toBeLessThanOrEqual(4_000);
  });

  it('stops although the mark cannot be stored, and keeps the older mark', async () => {
    await earlierLife(thread('1.1'));
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(10 * MINUTE);
    const before = mark();
    choices.set = () => Promise.reject(new Error('disk full'));
    await expect(life.stop()).resolves.toBeUndefined();
    expect(mark()).toBe(before);
  });

  it('message that could not be stored: looks once Slack stops redelivering it', async () => {
    await earlierLife(thread('1.1'));
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(HOUR);
    history.asked.length = 0;
    life.noteUnstoredMessage(`${Math.floor(clock.now() / 1000)}.000001`);
    await clock.advance(6 * MINUTE);
    expect(places()).toEqual([]);
    const held = mark();
    expect(clock.now() - held).toBeGreaterThan(5 * MINUTE);
    await clock.advance(2 * MINUTE);
    expect(places()).toEqual(['C1', 'C1/1.1']);
    expect(mark()).toBeGreaterThan(held);
  });

  it('another process took our events: looks back over that time', async () => {
    await earlierLife(thread('1.1'));
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(HOUR);
    history.asked.length = 0;
    const before = clock.now();
    life.noteOtherReceiver(4 * MINUTE);
    await clock.advance(2_000);
    expect(places()).toEqual(['C1', 'C1/1.1']);
    expect(Number(history.asked[0]?.after) * 1_000).toBeLessThanOrEqual(before - 4 * MINUTE);
  });

  it('message that can never be stored: gives up in the end', async () => {
    await earlierLife(thread('1.1'));
    const marked = mark();
    history.places.set('C1', past('5.1'));
    failing.add('5.1');
    const life = create();
    await life.start();
    life.setConnected(true);
    await clock.advance(2 * HOUR);
    const { length } = history.asked;
    expect(mark()).toBeGreaterThan(marked);
    await clock.advance(2 * HOUR);
    expect(history.asked).toHaveLength(length);
  });
});

describe('recent threads', () => {
  it('are stored in one row of bounded length', async () => {
    const life = create({ threads: 3 });
    await life.start();
    for (let n = 1; n <= 50; n += 1) recent.noteKey(thread(`${n}.1`));
    await recent.save();
    expect(recent.listSince(0)).toEqual([thread('50.1'), thread('49.1'), thread('48.1')]);
    expect(JSON.parse(choices.rows.get(`recent-threads:${TEAM}`) ?? '')).toHaveLength(3);
    expect(choices.rows.size).toBe(1);
  });

  it('are stored at once when new, otherwise together with the mark', async () => {
    const life = create();
    await life.start();
    recent.noteKey(thread('1.1'));
    await clock.settle();
    expect(choices.writes).toBe(1);
    recent.noteKey(thread('1.1'));
    await clock.settle();
    expect(choices.writes).toBe(1);
    await clock.advance(30_000);
    expect(choices.writes).toBe(2);
  });

  it('are forgotten when their row is unreadable', async () => {
    for (const text of ['{', '7', '[["x",1]]', '[[1]]', 'null']) {
      choices.rows.set(`recent-threads:${TEAM}`, text);
      const life = create();
      await life.start();
      expect(recent.listSince(0)).toEqual([]);
    }
  });
});
