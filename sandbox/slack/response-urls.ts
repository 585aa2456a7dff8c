import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BoundedMap } from '../bounded-map.ts';
import { parseJson, readBody } from './http.ts';
import { deleteMessage, editMessage, postMessage } from './messages.ts';
import { isObject, type JsonObject, objects } from './model.ts';
import { Refusal } from './refusal.ts';
import { fallbackText } from './text/fallback.ts';
import { appText } from './text/tokens.ts';
import { validateMessageBlocks } from './validate/message.ts';
import type { ResponseTarget, World } from './world.ts';

const USES = 5;
const LIFETIME_MS = 30 * 60_000;
const MAX_URLS = 5_000;

/**
 * What a slash command's ack or a `response_url` posts: ephemeral unless `in_channel` (docs/slack.md, Interactivity).
 */
export function postResponse(world: World, target: ResponseTarget, body: JsonObject): void {
  const channel = world.workspace.findChannel(target.channel);
  if (!channel) throw new Refusal('channel_not_found');
  const original = channel.messages.find((message) => message.ts === target.messageTs);
  if (body.delete_original === true) {
    if (original) deleteMessage(world, channel, original);
    return;
  }
  const blocks = Array.isArray(body.blocks) ? body.blocks : undefined;
  if (blocks) validateMessageBlocks(blocks);
  const given = typeof body.text === 'string' ? appText(body.text) : '';
  if (given === '' && !blocks?.length) throw new Refusal('no_text');
  const own = blocks && objects(blocks);
  const text = given === '' ? fallbackText(own ?? []) : given;
  if (body.replace_original === true && original) {
    editMessage(world, channel, original, { text, blocks: own, editor: world.workspace.bot.botId });
    return;
  }
  const inChannel = body.response_type === 'in_channel';
  const thread = typeof body.thread_ts === 'string' ? body.thread_ts : inChannel ? undefined : target.threadTs;
  postMessage(world, channel, {
    user: world.workspace.bot.userId,
    text,
    ...(own && { blocks: own }),
    ...(!inChannel && { ephemeralFor: target.user }),
    ...(thread !== undefined && { threadTs: thread }),
  });
}

export class ResponseUrlStore {
  readonly #urls = new BoundedMap<string, { target: ResponseTarget; at: number; uses: number }>(MAX_URLS);
  readonly #team: string;
  readonly #origin: () => string;
  readonly #now: () => number;

  constructor(team: string, origin: () => string, now: () => number) {
    this.#team = team;
    this.#origin = origin;
    this.#now = now;
  }

  makeUrl(target: ResponseTarget): string {
    const key = randomUUID();
    this.#urls.set(key, { target, at: this.#now(), uses: 0 });
    return `${this.#origin()}/${target.kind}/${this.#team}/${key}`;
  }

  /** Five uses within thirty minutes; then 404 with Slack's word as text. */
  async serveUrl(world: World, request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const body = parseJson((await readBody(request, 1_000_000)).toString());
    const sendStatus = (status: number, text: string) => {
      world.log.addEntry(
        {
          type: 'call',
          effectAt: world.now(),
          bytes: 0,
          at: world.now(),
          method: 'response_url',
          args: isObject(body) ? body : {},
          status,
          answer: text,
          ms: 0,
        },
        2_000,
      );
      response.writeHead(status, { 'content-type': 'text/html' }).end(text);
    };
    const entry = this.#urls.get(path.split('/').at(-1) ?? '');
    if (!entry) return sendStatus(404, 'expired_url');
    if (this.#now() - entry.at > LIFETIME_MS) return sendStatus(404, 'expired_url');
    if (entry.uses >= USES) return sendStatus(404, 'used_url');
    if (!isObject(body)) return sendStatus(400, 'invalid_payload');
    entry.uses += 1;
    try {
      postResponse(world, entry.target, body);
      sendStatus(200, 'ok');
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      sendStatus(error.error === 'no_text' ? 500 : 404, error.error);
    }
  }
}
