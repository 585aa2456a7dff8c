import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SeenMessage } from '../../sandbox/slack/control/api.ts';
import { isObject, type JsonObject, objects } from '../../sandbox/slack/model.ts';
import type { Scene } from './scene.ts';

/**
 * `words`: an answer that grows by edits. `streamed`: one in a thread of a direct message, as a native stream. `tool`: a
 * command that asks first and leaves a line in a file. `steered`: the same, and a message is handed to its turn while it
 * asks.
 */
export type Kind = 'words' | 'streamed' | 'tool' | 'steered';

const CHANNEL = 'C01GEN';
const DIRECT = 'D01ALICE';
const ALICE = 'U01ALICE';
const WORDS = 60;
const LIVE = /^(⏳|🔧|⛔ Stopping)/u;

let counter = 0;

/** One message to the agent, and what a person sees of its outcome. */
export class Story {
  readonly id: string;
  readonly stage: Scene;
  readonly kind: Kind;
  readonly #file: string;
  #hasStartedOver = false;
  ts = '';
  /** Where the thread is, and its first message. */
  readonly #channel: string;
  readonly #user: string;
  #root = '';

  constructor(stage: Scene, kind: Kind) {
    counter += 1;
    this.id = `crash-${process.pid}-${counter}`;
    this.stage = stage;
    this.kind = kind;
    this.#channel = `${kind === 'streamed' ? DIRECT : CHANNEL}${stage.suffix}`;
    this.#user = `${ALICE}${stage.suffix}`;
    this.#file = join(stage.letta.project, `${this.id}.txt`);
  }

  /** Sends the message. The envelopes are already on their way when this returns; the promise only waits for the ts. */
  async sayIt(): Promise<void> {
    const directive = this.runsTool
      ? `run bash echo ${this.id} >> ${this.#file} && sleep 0.5`
      : `slow ${WORDS} words 50 ms`;
    if (this.kind === 'streamed') this.#root = await this.stage.postAsBot(this.#channel, `Thread of ${this.id}`);
    const { ts } = await this.stage.slack.control.message({
      channel: this.#channel,
      user: this.#user,
      text: `@agent ${this.id}\n${directive}`,
      ...(this.#root !== '' && { thread_ts: this.#root }),
    });
    this.ts = ts;
    if (this.#root === '') this.#root = ts;
  }

  /** The first message of the thread. */
  get thread(): string {
    return this.#root;
  }

  /** Sends another message in the same thread, which must be answered whatever happened before. */
  async sayMore(): Promise<void> {
    await this.stage.slack.control.message({
      channel: this.#channel,
      user: this.#user,
      thread_ts: this.#root,
      text: `say: after ${this.id}`,
    });
  }

  /** Does what people are told to do when Letta has lost the conversation: `!new`. */
  async startOver(): Promise<void> {
    this.#hasStartedOver = true;
    const place = { channel: this.#channel, user: this.#user, thread_ts: this.#root };
    await this.stage.slack.control.message({ ...place, text: '!new' });
    const answered = () => this.stage.lines().some(({ kind, outcome }) => kind === 'message' && outcome === 'command');
    await this.stage.waitUntil(answered, 5_000);
  }

  /** Whether the thread's conversation is gone, and people were told what to do. */
  get isForgotten(): boolean {
    return /conversation no longer exists at Letta\./.test(this.text());
  }

  /** Whether {@link sayMore} came to something. */
  hasGoneOn(): boolean {
    return this.countMoreAnswers() > 0 || (this.isForgotten && !this.#hasStartedOver && this.endings().length > 1);
  }

  /** The bot's messages in the thread, without what only one person sees. */
  shownMessages(): SeenMessage[] {
    if (this.ts === '') return [];
    const messages = this.stage.slack.control.messages(this.#channel, { thread_ts: this.#root });
    const isShown = ({ bot_id, ephemeral, deleted, ts }: SeenMessage) =>
      bot_id !== null && ephemeral === null && !deleted && ts !== this.#root;
    return messages.filter(isShown);
  }

  /** The messages that show turns; an offer to go on is none of them. */
  answers(): SeenMessage[] {
    return this.shownMessages().filter((message) => /^turn-/.test(String(payloadOf(message).turn)));
  }

  text(): string {
    return this.shownMessages()
      .map((message) => message.blocks.flatMap(textsOf).join('\n'))
      .join('\n');
  }

  /** Numbers of the answer's words in the order in which people read them. */
  words(): number[] {
    return [...this.text().matchAll(/\bword(\d+)\b/g)].map((match) => Number(match[1]));
  }

  get allWords(): number {
    return this.runsTool ? 0 : WORDS;
  }

  get runsTool(): boolean {
    return this.kind === 'tool' || this.kind === 'steered';
  }

  /** Writes a message while the tool asks, and hands it to the turn as soon as it waits. */
  async handOver(): Promise<void> {
    const place = { channel: this.#channel, user: this.#user };
    await this.stage.slack.control.message({ ...place, thread_ts: this.#root, text: `say: joined ${this.id}` });
    const button = () => this.withButton('bridge_send_now')[0];
    await this.stage.waitUntil(() => button() !== undefined, 20_000);
    const messageTs = button()?.ts ?? '';
    await this.stage.slack.control.interact({ ...place, messageTs, action: 'bridge_send_now' });
  }

  /** How often people see the answer to the message of {@link handOver}. */
  countJoinedAnswers(): number {
    return this.text()
      .split('\n')
      .filter((line) => line.trim() === `joined ${this.id}`).length;
  }

  /** How often people see the answer of {@link sayMore}. */
  countMoreAnswers(): number {
    return this.text()
      .split('\n')
      .filter((line) => line.trim() === `after ${this.id}`).length;
  }

  /** Messages with a button of that name. */
  withButton(actionId: string): SeenMessage[] {
    return this.shownMessages().filter((message) => buttonsOf(message).includes(actionId));
  }

  /** The cards of the story's tool, decided ones, too. */
  cards(): SeenMessage[] {
    return this.shownMessages().filter((message) => {
      const text = message.blocks.flatMap(textsOf).join('\n');
      return text.includes(`echo ${this.id}`) && !this.#isStatus(message);
    });
  }

  #isStatus(message: SeenMessage): boolean {
    return liveLineOf(message) !== null;
  }

  /** What the last message of each turn says, once the turn has ended: a short one has no line of its own for that. */
  endings(): string[] {
    const turns = Map.groupBy(this.answers(), (message) => payloadOf(message).turn);
    return [...turns.values()].flatMap((messages) => {
      const last = messages.at(-1);
      if (!last || String(payloadOf(last).part).startsWith('card-')) return [];
      const isLive = liveLineOf(last) !== null || buttonsOf(last).includes('bridge_stop');
      return isLive ? [] : [last.blocks.flatMap(textsOf).join('\n')];
    });
  }

  get wasInterrupted(): boolean {
    return this.endings().some((line) => /Interrupted|may be incomplete|⚠️/u.test(line));
  }

  /** Letta died before it ran the approved command, and gave the model this result when it came back. */
  get wasClosedByLetta(): boolean {
    return this.text().includes('automatically closed this stale pending tool call');
  }

  /** Everything in the thread that says that work is going on. */
  signsOfWork(): string[] {
    const { statuses } = this.stage.slack.control.state();
    return [
      ...statuses.filter((status) => status.thread_ts === this.#root).map(({ status }) => `status "${status}"`),
      ...this.withButton('bridge_stop').map(() => 'Stop button'),
      ...this.shownMessages().flatMap(({ stream }) =>
        stream === 'in_progress' || stream === 'dead' ? ['stream'] : [],
      ),
      ...this.shownMessages().flatMap((message) => {
        const line = liveLineOf(message);
        return line === null ? [] : [`"${line}"`];
      }),
      ...this.withButton('bridge_approve').map(() => 'open card'),
      ...this.stage
        .activeRows()
        .filter((key) => key.includes(this.#root))
        .map(() => 'active row'),
    ];
  }

  /** How often the command ran. */
  countEffects(): number {
    if (!existsSync(this.#file)) return 0;
    return readFileSync(this.#file, 'utf8').split('\n').filter(Boolean).length;
  }

  /** How many turns Letta began with this message: requests to the model that have no answer of its own yet. */
  countTurns(): number {
    const log = this.stage.letta.modelLog;
    if (!existsSync(log)) return 0;
    const lines = readFileSync(log, 'utf8').split('\n');
    return lines.filter((line) => line.includes(this.id) && beginsTurn(line, this.id)).length;
  }

  /** Clicks Approve where it can be clicked. */
  async clickApprove(): Promise<boolean> {
    const card = this.withButton('bridge_approve')[0];
    if (!card) return false;
    const click = this.stage.slack.control.interact({
      user: this.#user,
      channel: this.#channel,
      messageTs: card.ts,
      action: 'bridge_approve',
    });
    return (await click).acked;
  }
}

function textsOf(block: JsonObject): string[] {
  const own = [block.text, isObject(block.text) ? block.text.text : undefined];
  const inner = [...objects(block.elements), ...objects(block.fields)].flatMap(textsOf);
  return [...own.filter((text) => typeof text === 'string'), ...inner];
}

function buttonsOf(message: SeenMessage): string[] {
  return message.blocks.flatMap((block) => objects(block.elements).map((element) => String(element.action_id)));
}

function payloadOf({ metadata }: SeenMessage): JsonObject {
  const payload = metadata?.event_payload;
  return isObject(payload) ? payload : {};
}

/** The line below a text that says what the agent is doing; `null`: there is none. */
function liveLineOf(message: SeenMessage): string | null {
  const context = message.blocks.findLast((block) => block.type === 'context');
  const line = context ? textsOf(context).join(' ') : '';
  return LIVE.test(line) ? line : null;
}

function beginsTurn(line: string, id: string): boolean {
  let body: unknown;
  try {
    body = JSON.parse(line);
  } catch {
    return false;
  }
  if (!isObject(body) || body.stream !== true) return false;
  const messages = objects(body.messages);
  const said = (message: JsonObject) => JSON.stringify(message.content ?? '');
  const asked = messages.findLastIndex((message) => message.role === 'user' && /crash-\d+-\d+/.test(said(message)));
  const last = messages[asked];
  if (!last || !new RegExp(`${id}\\\\n(slow|run) `).test(said(last))) return false;
  return !messages.slice(asked + 1).some((message) => message.role === 'assistant');
}
