import { describe, expect, test } from 'vitest';
import type { HistoryItem } from '../../src/bridge/agent-event.ts';
import { createShown } from '../support/shown.ts';

const WORDS = 'alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike'.split(' ');
const MORE = 'november oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu'.split(' ');
const SHOWN = [...WORDS, ...MORE].join(' ');

/** What Letta's history has of the answer after an abort. */
const LEFT = { nothing: null, 'one word': 'alpha', half: WORDS.join(' '), all: SHOWN } as const;

const MOMENTS = [
  /** Stop was pressed, and Letta has not said yet that it ended. */
  'before the end is heard',
  /** The end is known, its last edit waits for a 429. */
  'while the last edit waits',
  /** Nobody stopped it: bridge and Letta died together. */
  'in the middle of the answer',
] as const;

interface Story {
  left: keyof typeof LEFT;
  moment: (typeof MOMENTS)[number];
  restarts: number;
  turnsDieWithLink: boolean;
}

async function play({ left, moment, restarts, turnsDieWithLink }: Story) {
  const shown = createShown({ turnsDieWithLink });
  const { middle, slack } = shown;
  const { clock } = middle;
  await middle.write('say the alphabet');
  middle.connection.ready();
  await clock.settle();
  middle.connection.begin();
  const id = middle.connection.submitted[0]?.clientMessageId ?? '';
  middle.connection.say(`${WORDS.join(' ')} `, 'run-1', 'm-1');
  await clock.advance(4_000);
  middle.connection.say(MORE.join(' '), 'run-1', 'm-1');
  await clock.advance(4_000);
  const all = () =>
    shown
      .messages()
      .map((message) => shown.read(message))
      .join('\n');
  const least: boolean[] = [all().includes(SHOWN)];
  if (moment !== 'in the middle of the answer') {
    if (moment === 'while the last edit waits') {
      slack.fault = (method) => (method === 'chat.update' ? { kind: 'limited', retryAfterMs: 30_000 } : null);
    }
    await middle.write('!stop');
    await clock.advance(100);
    if (moment === 'while the last edit waits') {
      middle.connection.end('cancelled');
      await clock.advance(2_000);
    }
  }
  const text = LEFT[left];
  const past: HistoryItem[] = [{ kind: 'user', id: 'u', clientMessageId: id, text: 'say the alphabet' }];
  if (text !== null) past.push({ kind: 'assistant', id: 'm-1', text });
  for (let n = 0; n < restarts; n += 1) {
    await middle.restart();
    await clock.advance(3_000);
    least.push(all().includes(SHOWN));
  }
  slack.fault = () => null;
  middle.connection.past = past;
  middle.connection.ready();
  for (let second = 0; second < 120; second += 1) {
    await clock.advance(1_000);
    least.push(all().includes(SHOWN));
  }
  return { shown, all: all(), neverLess: least.every(Boolean), turn: middle.record().turn };
}

describe('text that people have seen', () => {
  test.each(
    MOMENTS.flatMap((moment) =>
      (Object.keys(LEFT) as (keyof typeof LEFT)[]).flatMap((left) =>
        [1, 2].map((restarts) => ({ moment, left, restarts, turnsDieWithLink: restarts === 1 })),
      ),
    ),
  )('bridge restarts $moment ($restarts ×), Letta has $left: never gets less', async (story) => {
    const { all, neverLess, turn, shown } = await play(story);
    expect(all.split(SHOWN)).toHaveLength(2);
    expect(neverLess).toBe(true);
    expect(turn).toBeNull();
    const live = JSON.stringify(shown.messages().map(({ blocks }) => blocks));
    expect(live).not.toMatch(/bridge_stop|I restarted|Writing|Stopping/);
    if (story.moment !== 'in the middle of the answer') expect(all).toMatch(/Stopped/);
  });
});

describe('text that Letta took back', () => {
  /** An answer begun, shown, and retried; `isHeard`: the bridge heard of the retry before it was restarted. */
  async function retried(isHeard: boolean) {
    const shown = createShown();
    const { middle, slack } = shown;
    const { clock } = middle;
    await middle.write('say the alphabet');
    const { connection } = middle;
    connection.ready();
    await clock.settle();
    connection.begin();
    connection.say(`${WORDS.join(' ')} `, 'run-1', 'm-1');
    await clock.advance(4_000);
    const id = connection.submitted[0]?.clientMessageId ?? '';
    // Slack takes nothing more, so the bridge plans no call either.
    slack.fault = (method) => (method === 'chat.update' ? { kind: 'limited', retryAfterMs: 30_000 } : null);
    connection.say(MORE.join(' '), 'run-1', 'm-1');
    await clock.advance(2_000);
    const retry = {
      type: 'retrying',
      runId: 'run-1',
      attempt: 1,
      maxAttempts: 3,
      delayMs: 1_000,
      reason: 'x',
    } as const;
    if (isHeard) connection.emit(retry);
    await clock.advance(1_000);
    await middle.restart();
    await clock.advance(3_000);
    slack.fault = () => null;
    const past: HistoryItem[] = [{ kind: 'user', id: 'u', clientMessageId: id, text: 'say the alphabet' }];
    middle.connection.past = past;
    // Where the bridge heard of it, Letta may name no runs.
    const clientMessageIdsByRun: Record<string, string[]> = isHeard ? {} : { 'run-1': [id], 'run-2': [id] };
    middle.connection.ready({ loop: 'busy', activeRunIds: isHeard ? [] : ['run-2'], clientMessageIdsByRun });
    await clock.advance(1_000);
    middle.connection.emit({ type: 'turn-ended', runId: null, stopReason: 'cancelled', error: null });
    await clock.advance(60_000);
    return shown
      .messages()
      .map((message) => shown.read(message))
      .join('\n');
  }

  test.each([true, false])('bridge restarts (heard of it: %s): is not shown', async (isHeard) => {
    expect(await retried(isHeard)).not.toContain('alpha');
  });
});
