import { type Logger, LogLevel } from '@slack/web-api';
import { onTestFinished } from 'vitest';
import { type SlackOptions, type SmallSlack, startSlack } from '../../../sandbox/slack/server.ts';

/** Closes with the test, before what was opened earlier. */
export function own<T extends { close(): unknown }>(thing: T): T {
  onTestFinished(async () => {
    await thing.close();
  });
  return thing;
}

/** A small Slack for one test: no retries, so that nothing lingers, unless asked for. */
export async function slackFor(options: SlackOptions = {}): Promise<SmallSlack> {
  return own(await startSlack({ retryDelaysMs: [], interactionRetryDelaysMs: [], ...options }));
}

/** For SDK clients: the errors that tests provoke on purpose are no news. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  getLevel: () => LogLevel.ERROR,
  setName: () => {},
};

export type Json = Record<string, unknown>;

/** One raw Web API call: what a client sees on the wire. */
export async function call(
  slack: SmallSlack,
  method: string,
  args: Json = {},
  token = slack.tokens.bot,
): Promise<{ status: number; body: Json; retryAfter: string | null }> {
  const response = await fetch(slack.url + method, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(args),
  });
  const body = (await response.json()) as Json;
  return { status: response.status, body, retryAfter: response.headers.get('retry-after') };
}

/** Payloads of the envelopes so far, oldest first. */
export function payloads(slack: SmallSlack): Json[] {
  return slack.control.log({ type: 'envelope' }).flatMap((entry) => (entry.type === 'envelope' ? [entry.payload] : []));
}

/** Events so far, optionally of one type. */
export function events(slack: SmallSlack, type?: string): Json[] {
  const all = payloads(slack).flatMap(({ event }) => (event ? [event as Json] : []));
  return type === undefined ? all : all.filter((event) => event.type === type);
}

/** Waits for what becomes true by itself; fails after five seconds. */
export async function until<T>(look: () => T | undefined | null | false): Promise<T> {
  for (let tries = 0; tries < 1000; tries += 1) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it did not become true');
}
