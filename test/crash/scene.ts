import type { EnvelopeEntry } from '../../sandbox/slack/log.ts';
import type { SmallSlack } from '../../sandbox/slack/server.ts';
import type { RealLetta } from '../support/letta/real-letta.ts';
import type { LogLine } from './bridge.ts';

/** A workspace of a small Slack in which stories happen, with what serves it. */
export abstract class Scene {
  abstract readonly slack: Pick<SmallSlack, 'control'>;
  abstract readonly letta: Pick<RealLetta, 'project' | 'modelLog'>;
  /** At the end of all ids of the workspace. */
  readonly suffix: string = '';
  /** The Web API, and a token of the bot. */
  abstract account(): { url: string; token: string };
  /** What the bridge has logged. */
  abstract lines(): readonly LogLine[];
  /** Keys of the threads that the next start would read. */
  abstract activeRows(): readonly string[];
  readonly #watchers = new Set<() => void>();

  /** Looks again at what is waited for. */
  protected lookAgain(): void {
    for (const look of [...this.#watchers]) look();
  }

  /** Posts with the bot's token, as a tool of the agent would; the message's ts. */
  async postAsBot(channel: string, text: string): Promise<string> {
    const { url, token } = this.account();
    const response = await fetch(`${url}chat.postMessage`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ channel, text }),
    });
    const { ts } = (await response.json()) as { ts: string };
    return ts;
  }

  /** Whether `condition` came true in time; it is checked at each log line and every millisecond. */
  waitUntil(condition: () => boolean, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = Date.now() + ms;
      const done = (result: boolean) => {
        clearInterval(timer);
        this.#watchers.delete(look);
        resolve(result);
      };
      const look = () => {
        if (condition()) done(true);
        else if (Date.now() > end) done(false);
      };
      const timer = setInterval(look, 1);
      this.#watchers.add(look);
      look();
    });
  }

  /** The deliveries of a message, oldest first: `message` and its twin `app_mention`, with their retries. */
  deliveriesOf(ts: string): EnvelopeEntry[] {
    return this.slack.control.log({ type: 'envelope' }).flatMap((entry) => {
      if (entry.type !== 'envelope') return [];
      const { event } = entry.payload as { event?: { type?: string; ts?: string } };
      return event?.ts === ts && (event.type === 'message' || event.type === 'app_mention') ? [entry] : [];
    });
  }

  /** The bridge's Slack calls about a thread, one line each, for a report. */
  callsAbout(thread: string): string[] {
    return this.slack.control.log({ type: 'call' }).flatMap((entry) => {
      if (entry.type !== 'call' || !JSON.stringify([entry.args, entry.answer]).includes(thread)) return [];
      const { text, status } = entry.args;
      const brief = { status, text: typeof text === 'string' ? text.slice(-60) : undefined };
      return [`${new Date(entry.at).toISOString()} ${entry.method} ${JSON.stringify(brief)} → ${entry.status}`];
    });
  }
}
