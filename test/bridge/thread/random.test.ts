import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bindings } from '../../../src/bridge/access/bindings.ts';
import { KillSwitch } from '../../../src/bridge/access/kill-switch.ts';
import { closedPolicy, type Policy } from '../../../src/bridge/access/policy.ts';
import { makeMessageKey, makeThreadKey, type ThreadKey } from '../../../src/bridge/ids.ts';
import type { ActionName } from '../../../src/bridge/inbound.ts';
import { BridgeIntake } from '../../../src/bridge/intake/intake.ts';
import type { Surface, SurfaceTurn } from '../../../src/bridge/ports.ts';
import { isActive } from '../../../src/bridge/record/thread-record.ts';
import { ThreadWorkers } from '../../../src/bridge/thread/workers.ts';
import type { TurnView } from '../../../src/bridge/view/turn.ts';
import { createFakeClock } from '../../support/clock.ts';
import {
  BOT,
  countingRandom,
  MapAudit,
  MapThreads,
  mapChoices,
  people,
  silentLog,
  TEAM,
} from '../../support/middle.ts';
import { StoryLetta, seeded } from '../../support/story-letta.ts';

const CHANNEL = 'C01GEN';
const USERS = ['U01ALICE', 'U02BOB'] as const;
const ROOTS = ['1000.000001', '2000.000001'] as const;

type Event =
  | { do: 'write' | 'stop-command' | 'new-command' | 'compact-command' | 'fork-command'; user: number; thread: number }
  | { do: 'click'; name: ActionName; user: number; thread: number }
  | { do: 'lose' | 'agent-turn' | 'background'; thread: number }
  | { do: 'away' | 'slow-slack' | 'wait'; ms: number }
  | { do: 'disk'; times: number }
  | { do: 'restart' };

const two = fc.integer({ min: 0, max: 1 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), user: two, thread: two }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 4_000 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('click' as const),
      name: fc.constantFrom<ActionName>('approve', 'deny', 'stop', 'view_full', 'approve'),
      user: two,
      thread: two,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'stop-command' as const,
        'new-command' as const,
        'compact-command' as const,
        'fork-command' as const,
      ),
      user: two,
      thread: two,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('lose' as const, 'agent-turn' as const, 'background' as const),
      thread: two,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('away' as const, 'slow-slack' as const),
      ms: fc.integer({ min: 1, max: 30_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('disk' as const), times: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

/** The bridge between a Letta and a Slack that play by their own rules, with everything that can be asked of it later. */
function createStory(seed: number, turnsDieWithLink: boolean) {
  const random = seeded(seed);
  const clock = createFakeClock();
  const letta = new StoryLetta(clock, random, turnsDieWithLink);
  letta.faults = 0.06;
  const faults: string[] = [];
  const threads = new MapThreads();
  const views = new Map<string, TurnView>();
  const said: string[] = [];
  const accepted: { text: string; thread: ThreadKey }[] = [];
  /** Turns that carried a message, by its text. */
  const turnsOf = new Map<string, Set<string>>();
  const allowed = new Set<string>();
  /** Stored at a second delivery only, after what was written later. */
  const late = new Set<string>();
  const outcomes = new Map<string, string[]>();
  let slowUntil = 0;
  let written = 0;

  const update = threads.update.bind(threads);
  threads.update = async (key, change) => {
    const record = await update(key, change);
    for (const item of record?.turn?.items ?? []) {
      const text = item.spans.map((span) => (span.kind === 'text' ? span.text.trim() : '')).join('');
      const turns = turnsOf.get(text) ?? new Set();
      turnsOf.set(text, turns.add(record?.turn?.id ?? ''));
    }
    return record;
  };

  /** First messages of new threads, by the wish that they are for. */
  const roots = new Map<string, string>();
  const surface: Surface = {
    openTurn({ turn, onPosts }: SurfaceTurn) {
      let over = false;
      const take = (view: TurnView) => {
        if (over) faults.push(`${turn} is shown after its end`);
        if (view.turn !== turn) faults.push(`${turn} shows ${view.turn}`);
        views.set(turn, view);
      };
      void onPosts([{ part: '0.0', ts: '3.1', hash: 'x' }]).catch(() => undefined);
      return {
        show: take,
        finish(view) {
          take(view);
          over = true;
          return new Promise((resolve) => {
            const wait = Math.max(0, slowUntil - clock.now()) + random() * 300;
            clock.after(wait, () => resolve({ delivered: true }));
          });
        },
      };
    },
    showOffer: () => Promise.resolve({ delivered: true }),
    say: (_, text) => {
      said.push(text);
      return Promise.resolve({ delivered: true });
    },
    beginThread(_, text, id = '') {
      const known = roots.get(id) ?? `9000.${String(roots.size).padStart(6, '0')}`;
      if (!roots.has(id)) said.push(text);
      roots.set(id, known);
      // Slack takes a while, and may refuse.
      return new Promise((resolve) => clock.after(random() * 300, () => resolve(random() < 0.2 ? null : known)));
    },
    whisper: () => Promise.resolve(),
  };

  const policy: Policy = {
    ...closedPolicy,
    users: { ...closedPolicy.users, members: true },
    channels: { everywhere: true, directMessages: true, ids: [] },
  };
  const policies = { current: () => policy };
  const ids = countingRandom();
  const build = () => {
    const bindings = new Bindings({ policies, choices: mapChoices(), log: silentLog });
    const killSwitch = new KillSwitch({ choices: mapChoices(), clock, log: silentLog });
    const shared = {
      threads,
      surface,
      people,
      clock,
      log: silentLog,
      policies: bindings,
      bindings,
      killSwitch,
      botUser: BOT,
    };
    const parts = { ...shared, audit: new MapAudit(), gateway: letta, random: ids, turnsDieWithLink };
    const workers = new ThreadWorkers(parts);
    return { workers, intake: new BridgeIntake({ ...shared, audit: parts.audit, random: ids, workers }) };
  };
  let built = build();

  const keyOf = (thread: number) => makeThreadKey({ team: TEAM, channel: CHANNEL, root: ROOTS[thread] ?? ROOTS[0] });
  const conversationOf = (thread: number) => {
    const id = threads.records.get(keyOf(thread))?.runtime?.conversationId;
    return id === undefined ? null : (letta.conversations.get(id) ?? null);
  };
  const liveView = (thread: number) => {
    const turn = threads.records.get(keyOf(thread))?.turn?.id;
    return turn === undefined ? null : (views.get(turn) ?? null);
  };

  /** Slack delivers again what was not stored. */
  const deliver = (user: number, thread: number, text: string, mark: (outcome: string) => void): void => {
    written += 1;
    const root = ROOTS[thread] ?? ROOTS[0];
    const fresh = !threads.records.has(keyOf(thread));
    const ts = fresh && written === 1 ? root : `2000.${String(100 + written).padStart(6, '0')}`;
    const message = {
      key: makeMessageKey({ team: TEAM, channel: CHANNEL, ts }),
      team: TEAM,
      channel: CHANNEL,
      channelKind: 'channel' as const,
      ts,
      threadTs: ts === root ? null : root,
      user: USERS[user] ?? USERS[0],
      userTeam: null,
      external: false,
      spans: [
        { kind: 'user' as const, id: BOT },
        { kind: 'text' as const, text: ` ${text}` },
      ],
      files: [],
      mentionsBot: true,
    };
    const attempt = (left: number) => {
      built.intake.handleMessage(message).then(
        ({ outcome }) => mark(outcome),
        () => {
          late.add(text);
          if (left > 0) clock.after(500, () => attempt(left - 1));
          else faults.push(`${text} was never taken`);
        },
      );
    };
    attempt(50);
    // Mention and message tell of the same words; Slack repeats what was answered late.
    if (random() < 0.3) clock.after(random() * 3_000, () => attempt(50));
    if (random() < 0.2) attempt(50);
  };

  const click = async (name: ActionName, user: number, thread: number): Promise<void> => {
    const view = liveView(thread);
    const card = view?.items.findLast((item) => item.kind === 'card' && item.card.state.state === 'open');
    const shown = card?.kind === 'card' ? card.card : null;
    const token = name === 'stop' ? view?.live?.stop : shown?.token;
    if (!token) return;
    const who = USERS[user] ?? USERS[0];
    const where = { team: TEAM, channel: CHANNEL, messageTs: '3.1', threadTs: ROOTS[thread] ?? null };
    const action = { name, token, choice: null, actor: { user: who, team: TEAM }, ...where };
    const request = shown?.kind === 'approval' ? /perm-\d+/.exec(shown.title)?.[0] : undefined;
    const behavior = name === 'approve' ? 'allow' : 'deny';
    const outcome = await built.intake.handleAction(action).catch(() => null);
    if (outcome?.result !== 'decided' || name === 'stop') return;
    if (!shown?.asks.includes(who)) faults.push(`${who} decided for ${shown?.asks}`);
    allowed.add(`${request} ${behavior}`);
  };

  const happen = async (now: Event): Promise<void> => {
    switch (now.do) {
      case 'write': {
        const text = `msg-${written + 1}.`;
        deliver(now.user, now.thread, text, (outcome) => {
          if (outcome !== 'accepted' && outcome !== 'repeated') faults.push(`${text} was ${outcome}`);
          if (outcome === 'accepted' && outcomes.get(text)?.includes('accepted'))
            faults.push(`${text} was taken twice`);
          const known = outcomes.get(text) ?? [];
          outcomes.set(text, [...known, outcome]);
          if (known.length === 0) accepted.push({ text, thread: keyOf(now.thread) });
        });
        break;
      }
      case 'stop-command':
      case 'new-command':
      case 'compact-command':
      case 'fork-command':
        deliver(now.user, now.thread, `!${now.do.replace('-command', '')}`, () => undefined);
        break;
      case 'click':
        void click(now.name, now.user, now.thread);
        break;
      case 'lose':
        conversationOf(now.thread)?.link?.lose();
        break;
      case 'agent-turn': {
        const conversation = conversationOf(now.thread);
        const heard = conversation?.link?.isUp || !turnsDieWithLink;
        if (conversation && heard && !conversation.running) conversation.begin(null);
        break;
      }
      case 'background': {
        const conversation = conversationOf(now.thread);
        conversation?.setBackground(conversation.background === 0 ? 1 : 0);
        break;
      }
      case 'away':
        letta.isReachable = false;
        for (const { link } of letta.conversations.values()) link?.lose();
        clock.after(now.ms, () => {
          letta.isReachable = true;
        });
        break;
      case 'slow-slack':
        slowUntil = clock.now() + now.ms;
        break;
      case 'wait':
        await clock.advance(now.ms);
        break;
      case 'disk':
        threads.failing = now.times;
        break;
      case 'restart':
        built.workers.close();
        await clock.settle();
        built = build();
        await built.workers.start();
        break;
      default:
        now satisfies never;
    }
    if (random() < 0.7) await clock.settle();
  };

  /** Everything works, and people answer what they are asked. */
  const heal = async (): Promise<void> => {
    letta.faults = 0;
    letta.isReachable = true;
    threads.failing = 0;
    for (const conversation of letta.conversations.values()) conversation.setBackground(0);
    for (let round = 0; round < 60; round += 1) {
      await clock.advance(4_000);
      for (const thread of [0, 1]) for (const user of [0, 1]) void click('approve', user, thread);
      const records = [...threads.records.values()];
      if (round > 8 && records.every((record) => !isActive(record))) break;
    }
    await clock.advance(12 * 60_000);
  };

  const judge = (): void => {
    expect(faults).toEqual([]);
    for (const record of threads.records.values()) {
      expect(record.turn, 'a turn was left open').toBeNull();
      expect(record.inbox).toEqual([]);
      expect(isActive(record), 'a thread never rests').toBe(false);
    }
    for (const view of views.values()) expect(view.ending, `${view.turn} was left live`).not.toBeNull();
    expect(letta.connections.filter((connection) => !connection.closed)).toEqual([]);
    const conversations = [...letta.conversations.values()];
    const begun = conversations.flatMap((conversation) => conversation.begun);
    const twice = begun.filter((a, at) => begun.findIndex((b) => b.clientMessageId === a.clientMessageId) !== at);
    expect(twice, 'an input ran twice').toEqual([]);
    for (const { text } of accepted) {
      const runs = begun.filter((input) => input.content.includes(text)).length;
      if (runs === 1) continue;
      expect(runs, `${text} ran`).toBe(0);
      const turns = [...(turnsOf.get(text) ?? [])].flatMap((turn) => views.get(turn) ?? []);
      const refused = turns.some((view) => view.ending?.outcome !== 'done') || said.some((line) => line.includes(text));
      expect(refused, `${text} is lost`).toBe(true);
    }
    for (const conversation of conversations) {
      const order = conversation.begun.flatMap(({ content }) =>
        [...content.matchAll(/msg-(\d+)\./g)].flatMap((found) => (late.has(found[0]) ? [] : [Number(found[1])])),
      );
      expect(order).toEqual([...order].sort((a, b) => a - b));
      for (const { requestId, behavior } of conversation.answers) {
        expect(conversation.answers.filter((taken) => taken.requestId === requestId)).toHaveLength(1);
        expect(allowed, 'somebody decided').toContain(`${requestId} ${behavior}`);
      }
    }
  };

  return { happen, heal, judge };
}

const RUNS = 200;

describe('threads with random people and faults', () => {
  it('each message ends in one answer or one visible refusal', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.boolean(),
        fc.array(event, { maxLength: 40, size: 'max' }),
        async (seed, dies, events) => {
          const story = createStory(seed, dies);
          for (const now of events) await story.happen(now);
          await story.heal();
          story.judge();
        },
      ),
      { numRuns: Number(process.env.RUNS ?? RUNS), seed: Number(process.env.SEED ?? 1) },
    );
  }, 60_000);
});
