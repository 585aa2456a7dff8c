import { z } from 'zod';
import type { Clock, Random } from '../../bridge/ports.ts';
import type { Envelope } from '../receiver/transport.ts';
import { SELF_TEST, selfTestText } from '../words/self-test.ts';
import { type SlackApi, SlackError } from './slack-api.ts';

/** What a self-test found, in this order; the first failure ends it. */
export type SelfTestStep =
  | { step: 'posted' }
  /** The bot's own message came back as an event. */
  | { step: 'event' }
  | { step: 'clicked' }
  /** `post`: Slack refused the message with this word. */
  | { step: 'failed'; what: 'post'; error: string }
  /** The event, or the click, did not come in time. */
  | { step: 'failed'; what: 'event' | 'click' };

export interface SelfTestWaits {
  eventMs: number;
  /** 0: nobody is asked to click. */
  clickMs: number;
}

export interface SelfTest {
  /** Called with every delivery of Slack. Returns whether it belongs to the self-test. */
  noteDelivery(envelope: Pick<Envelope, 'kind' | 'body'>): boolean;
  /** Posts into the channel, waits for the message to come back and for a click on its button. One at a time. */
  run(channel: string, waits: SelfTestWaits, onStep: (step: SelfTestStep) => void): Promise<void>;
}

const messageEvent = z.looseObject({
  event: z.looseObject({ type: z.literal('message'), text: z.string().nullish() }),
});
const click = z.looseObject({
  type: z.literal('block_actions'),
  actions: z.array(z.looseObject({ action_id: z.string(), value: z.string().nullish() })),
});
const posted = z.looseObject({ channel: z.string(), ts: z.string() });

/** Not one of the bridge's action ids, so a click on it decides nothing. */
const ACTION = 'bridge_self_test';

/** Tests the whole way of an event and of a click, in a given channel. */
export function createSelfTest({ api, clock, random }: { api: SlackApi; clock: Clock; random: Random }): SelfTest {
  let current: { mark: string; seen: { event: () => void; click: () => void } } | null = null;

  function noteDelivery({ kind, body }: Pick<Envelope, 'kind' | 'body'>): boolean {
    if (current === null) return false;
    const { mark, seen } = current;
    if (kind === 'events_api') {
      const read = messageEvent.safeParse(body);
      const isOurs = read.success && read.data.event.text?.includes(mark) === true;
      if (isOurs) seen.event();
      return isOurs;
    }
    if (kind !== 'interactive') return false;
    const read = click.safeParse(body);
    const isOurs =
      read.success && read.data.actions.some(({ action_id, value }) => action_id === ACTION && value === mark);
    if (isOurs) seen.click();
    return isOurs;
  }

  async function run(channel: string, waits: SelfTestWaits, onStep: (step: SelfTestStep) => void): Promise<void> {
    if (current !== null) return onStep({ step: 'failed', what: 'post', error: 'a self-test is running already' });
    const mark = random.id().slice(0, 12);
    const [event, clicked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    current = { mark, seen: { event: event.resolve, click: clicked.resolve } };
    try {
      let ts: string;
      try {
        const asksForClick = waits.clickMs > 0;
        ts = await postTest(channel, selfTestText(mark, asksForClick), asksForClick ? mark : null);
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        return onStep({ step: 'failed', what: 'post', error: error.error });
      }
      onStep({ step: 'posted' });
      const hasArrived = await happensWithin(event.promise, waits.eventMs);
      onStep(hasArrived ? { step: 'event' } : { step: 'failed', what: 'event' });
      if (waits.clickMs === 0) return updateMessage(channel, ts, hasArrived ? SELF_TEST.events : SELF_TEST.noEvent);
      const wasClicked = await happensWithin(clicked.promise, waits.clickMs);
      onStep(wasClicked ? { step: 'clicked' } : { step: 'failed', what: 'click' });
      await updateMessage(channel, ts, wasClicked ? SELF_TEST.clicked : SELF_TEST.noClick);
    } finally {
      current = null;
    }
  }

  async function postTest(channel: string, text: string, value: string | null): Promise<string> {
    const button = {
      type: 'button',
      text: { type: 'plain_text', text: 'It works' },
      action_id: ACTION,
      value: value ?? '',
    };
    const blocks = [
      { type: 'section', text: { type: 'plain_text', text } },
      ...(value === null ? [] : [{ type: 'actions', elements: [button] }]),
    ];
    const answer = await api.call('chat.postMessage', { channel, text, blocks }, { client: 'control' });
    return posted.parse(answer).ts;
  }

  /** Replaces the message with the result and removes its button. The message stays, so people see what was tested. */
  async function updateMessage(channel: string, ts: string, text: string): Promise<void> {
    const blocks = [{ type: 'section', text: { type: 'plain_text', text } }];
    await api.call('chat.update', { channel, ts, text, blocks }, { client: 'control' }).catch((error: unknown) => {
      if (!(error instanceof SlackError)) throw error;
    });
  }

  async function happensWithin(promise: Promise<void>, ms: number): Promise<boolean> {
    const timeout = Promise.withResolvers<false>();
    const timer = clock.after(ms, () => timeout.resolve(false));
    const hasHappened = await Promise.race([promise.then(() => true), timeout.promise]);
    timer.cancel();
    return hasHappened;
  }

  return { noteDelivery, run };
}
