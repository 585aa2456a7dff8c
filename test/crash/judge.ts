import { setTimeout as sleep } from 'node:timers/promises';
import { tail } from './bridge.ts';
import type { Story } from './story.ts';

/** The allowed outcomes: the whole answer, or what was said so far and a line that the turn was interrupted. */
export type Expected = 'answered' | 'answered or interrupted';

export interface Verdict {
  lost: number;
  doubled: number;
  leftOver: number;
  /**
   * `answered`, `interrupted`, `nothing`; `forgotten by Letta` when its conversation is gone and people are told so.
   */
  outcome: string;
  /** ms from `since` until the thread was at rest; `null`: never. */
  settledAfter: number | null;
  /** What is wrong, in words. */
  faults: string[];
  story: string;
}

const QUIET_MS = 600;
/** The next message is answered, and nothing is at work any more. */
export const GOES_ON_WITHIN_MS = 20_000;
const CLICK_EVERY_MS = 500;

/**
 * Waits until the thread is at rest, and approves what is asked meanwhile. Resolves with the time when the rest began;
 * `null`: never.
 */
async function waitForRest(story: Story, until: number): Promise<number | null> {
  let since: number | null = null;
  let clicked = 0;
  while (Date.now() < until) {
    const now = Date.now();
    if (now - clicked >= CLICK_EVERY_MS && story.withButton('bridge_approve').length > 0) {
      clicked = now;
      await story.clickApprove();
    }
    const isAnswered = story.kind !== 'steered' || story.countJoinedAnswers() > 0;
    const rests = story.endings().length > 0 && isAnswered && story.signsOfWork().length === 0;
    since = rests ? (since ?? now) : null;
    if (since !== null && now - since >= QUIET_MS) return since;
    await sleep(25);
  }
  return null;
}

/**
 * Waits until everything is settled, asks something else in the same thread, and counts what went wrong.
 * @param options.since ms since 1970: the start after the crash; from then on everything must be settled within
 * `within`.
 * @param options.wordsBefore words of the answer that people saw before the crash: they must not vanish
 */
export async function judge(
  story: Story,
  options: {
    expected: Expected;
    since: number;
    within: number;
    wordsBefore: number;
    goesOnWithin?: number;
    mayForget?: boolean;
  },
): Promise<Verdict> {
  const { expected, since, within, wordsBefore, goesOnWithin = GOES_ON_WITHIN_MS, mayForget = false } = options;
  const faults: string[] = [];
  let [lost, doubled, leftOver] = [0, 0, 0];
  const addLost = (fault: string) => {
    lost += 1;
    faults.push(`lost: ${fault}`);
  };
  const addDoubled = (fault: string) => {
    doubled += 1;
    faults.push(`doubled: ${fault}`);
  };
  const addLeftOver = (fault: string) => {
    leftOver += 1;
    faults.push(`left over: ${fault}`);
  };

  const restsSince = await waitForRest(story, since + within);
  if (restsSince === null) for (const live of story.signsOfWork()) addLeftOver(live);
  const outcome = story.endings().length === 0 ? 'nothing' : story.wasInterrupted ? 'interrupted' : 'answered';
  if (outcome === 'nothing') addLost('no outcome');
  if (outcome === 'interrupted' && expected === 'answered') addLost(`interrupted: ${story.endings().join(' | ')}`);
  // What was handed over joins the turn, or is the next one.
  const mostTurns = story.kind === 'steered' ? 2 : 1;
  if (story.endings().length > mostTurns)
    addDoubled(`${story.endings().length} endings: ${story.endings().join(' | ')}`);

  const words = story.words();
  const repeated = words.length - new Set(words).size;
  if (repeated > 0) addDoubled(`${repeated} words shown twice`);
  if (words.some((word, at) => word !== at + 1)) addLost(`words out of order or missing: ${words.join(' ')}`);
  if (words.length < wordsBefore) addLost(`${wordsBefore} words were shown, ${words.length} are left`);
  if (outcome === 'answered' && words.length < story.allWords) addLost(`${words.length} of ${story.allWords} words`);

  const turns = story.countTurns();
  if (turns > 1) addDoubled(`${turns} turns`);
  if (turns === 0 && outcome === 'answered') addLost('no turn');
  const effects = story.countEffects();
  if (effects > 1) addDoubled(`the command ran ${effects} times`);
  if (story.runsTool && outcome === 'answered' && effects === 0 && !story.wasClosedByLetta)
    addLost('the command never ran');
  const messages = story.answers().length;
  if (!story.runsTool && messages > 1) addDoubled(`${messages} messages for one answer`);
  if (story.cards().length > 1) addDoubled(`${story.cards().length} cards for one request`);

  if (story.kind === 'steered') {
    const joined = story.countJoinedAnswers();
    if (joined === 0) addLost('the message that was handed over is not answered');
    if (joined > 1) addDoubled(`the message that was handed over is answered ${joined} times`);
  }

  const more = () => story.stage.waitUntil(() => story.hasGoneOn() && story.signsOfWork().length === 0, goesOnWithin);
  await story.sayMore();
  let goesOn = await more();
  const forgotten = story.isForgotten;
  if (forgotten && !mayForget) addLost('Letta does not know the conversation any more');
  if (forgotten) {
    // Letta writes a conversation's file in place at each delta, so a SIGKILL during the write destroys it.
    await story.startOver();
    await story.sayMore();
    goesOn = await more();
  }
  if (story.countMoreAnswers() === 0) addLost('the next message in the thread is not answered');
  else if (!goesOn) for (const live of story.signsOfWork()) addLeftOver(`after the next message: ${live}`);
  await sleep(QUIET_MS / 2);
  if (story.countMoreAnswers() > 1) addDoubled(`the next answer is shown ${story.countMoreAnswers()} times`);
  if (story.countTurns() > Math.max(1, turns)) addDoubled('another turn later');

  return {
    lost,
    doubled,
    leftOver,
    outcome: forgotten ? 'forgotten by Letta' : outcome,
    settledAfter: restsSince === null ? null : Math.max(0, restsSince - since),
    faults,
    story: faults.length === 0 ? '' : report(story),
  };
}

function report(story: Story): string {
  const calls = story.stage.callsAbout(story.thread).map((call) => call.slice(0, 300));
  const log = tail(story.stage.lines(), 60);
  return [story.text(), '--- calls to Slack', ...calls.slice(-40), '--- log of the bridge', log].join('\n');
}
