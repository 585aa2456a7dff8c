import { z } from 'zod';
import type { Clock, Random } from '../../bridge/ports.ts';
import type { Envelope } from '../receiver/transport.ts';
import { type SlackApi, SlackError } from './slack-api.ts';

/** What a self-test found, in this order; the first failure ends it. */
export type SelfTestStep =
  | { step: 'posted' }
  /** The bot's own message came back as an event. */
  | { step: 'event' }
  | { step: 'clicked' }
  /** `post`: Slack refused the message with this word. */
  | { step: 'failed'; what: 'post'; error: string }
  /** What did not come in time. */
  | { step: 'failed'; what: 'event' | 'click' };

export interface SelfTestWaits {
  eventMs: number;
  /** 0: nobody is asked to click. */
  clickMs: number;
}

export interface SelfTest {
  /** Shown every delivery of Slack; says whether it belongs to the self-test. */
  see(envelope: Pick<Envelope, 'kind' | 'body'>): boolean;
  /** Posts into the channel, waits for the message to come back and for a click on its button. One at a time. */
  run(channel: string, waits: SelfTestWaits, tell: (step: SelfTestStep) => void): Promise<void>;
}

const messageEvent = z.looseObject({
  event: z.looseObject({ type: z.literal('message'), text: z.string().nullish() }),
});
const click = z.looseObject({
  type: z.literal('block_actions'),
  actions: z.array(z.looseObject({ action_id: z.string(), value: z.string().nullish() })),
});
const posted = z.looseObject({ channel: z.string(), ts: z.string() });

/** No action of the bridge: a click on it decides nothing. */
const ACTION = 'bridge_self_test';

/** Tries the whole way of an event and of a click, in a channel that somebody named. */
export function createSelfTest({ api, clock, random }: { api: SlackApi; clock: Clock; random: Random }): SelfTest {
  let running: { mark: string; seen: { event: () => void; click: () => void } } | null = null;

  function see({ kind, body }: Pick<Envelope, 'kind' | 'body'>): boolean {
    if (running === null) return false;
    const { mark, seen } = running;
    if (kind === 'events_api') {
      const read = messageEvent.safeParse(body);
      const ours = read.success && read.data.event.text?.includes(mark) === true;
      if (ours) seen.event();
      return ours;
    }
    if (kind !== 'interactive') return false;
    const read = click.safeParse(body);
    const ours =
      read.success && read.data.actions.some(({ action_id, value }) => action_id === ACTION && value === mark);
    if (ours) seen.click();
    return ours;
  }

  async function run(channel: string, waits: SelfTestWaits, tell: (step: SelfTestStep) => void): Promise<void> {
    if (running !== null) return tell({ step: 'failed', what: 'post', error: 'a self-test is running already' });
    const mark = random.id().slice(0, 12);
    const [event, clicked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    running = { mark, seen: { event: event.resolve, click: clicked.resolve } };
    try {
      let ts: string;
      try {
        const asks = waits.clickMs > 0;
        ts = await post(channel, asks ? `Self-test ${mark}: please click.` : `Self-test ${mark}.`, asks ? mark : null);
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        return tell({ step: 'failed', what: 'post', error: error.error });
      }
      tell({ step: 'posted' });
      const came = await within(event.promise, waits.eventMs);
      tell(came ? { step: 'event' } : { step: 'failed', what: 'event' });
      if (waits.clickMs === 0)
        return settle(channel, ts, came ? 'Self-test: events arrive.' : 'Self-test: no event came.');
      const hit = await within(clicked.promise, waits.clickMs);
      tell(hit ? { step: 'clicked' } : { step: 'failed', what: 'click' });
      await settle(channel, ts, hit ? 'Self-test: the click arrived. Thank you.' : 'Self-test: no click came.');
    } finally {
      running = null;
    }
  }

  async function post(channel: string, text: string, value: string | null): Promise<string> {
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

  /** The message stays as a trace of who tried what; its button goes. */
  async function settle(channel: string, ts: string, text: string): Promise<void> {
    const blocks = [{ type: 'section', text: { type: 'plain_text', text } }];
    await api.call('chat.update', { channel, ts, text, blocks }, { client: 'control' }).catch((error: unknown) => {
      if (!(error instanceof SlackError)) throw error;
    });
  }

  async function within(promise: Promise<void>, ms: number): Promise<boolean> {
    const late = Promise.withResolvers<false>();
    const timer = clock.after(ms, () => late.resolve(false));
    const came = await Promise.race([promise.then(() => true), late.promise]);
    timer.cancel();
    return came;
  }

  return { see, run };
}
