import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SeenMessage } from '../../sandbox/slack/control/api.ts';
import { isObject, type JsonObject, objects } from '../../sandbox/slack/model.ts';
import type { Stage } from './stage.ts';

/** `words`: a streamed answer. `tool`: a command that asks first and leaves a line in a file. */
export type Kind = 'words' | 'tool';

const CHANNEL = 'C01GEN';
const ALICE = 'U01ALICE';
const WORDS = 60;
const LIVE = /^(⏳|🔧|⛔ Stopping)/u;

let counter = 0;

/** One message to the agent, and what a person sees of its outcome. */
export class Story {
  readonly id: string;
  readonly stage: Stage;
  readonly kind: Kind;
  readonly #file: string;
  #hasStartedOver = false;
  ts = '';

  constructor(stage: Stage, kind: Kind) {
    counter += 1;
    this.id = `crash-${process.pid}-${counter}`;
    this.stage = stage;
    this.kind = kind;
    this.#file = join(stage.letta.project, `${this.id}.txt`);
  }

  /** Sends the message. The envelopes are already on their way when this returns; the promise only waits for the ts. */
  sayIt(): Promise<void> {
    const directive =
      this.kind === 'words' ? `slow ${WORDS} words 50 ms` : `run bash echo ${this.id} >> ${this.#file} && sleep 0.5`;
    const said = this.stage.slack.control.message({
      channel: CHANNEL,
      user: ALICE,
      text: `@agent ${this.id}\n${directive}`,
    });
    return said.then(({ ts }) => {
      this.ts = ts;
    });
  }

  /** Sends another message in the same thread, which must be answered whatever happened before. */
  async sayMore(): Promise<void> {
    await this.stage.slack.control.message({
      channel: CHANNEL,
      user: ALICE,
      thread_ts: this.ts,
      text: `say: after ${this.id}`,
    });
  }

  /** Does what people are told to do when Letta has lost the conversation: `!new`. */
  async startOver(): Promise<void> {
    this.#hasStartedOver = true;
    const place = { channel: CHANNEL, user: ALICE, thread_ts: this.ts };
    await this.stage.slack.control.message({ ...place, text: '!new' });
    const answered = () =>
      this.stage.bridge.lines.some(({ kind, outcome }) => kind === 'message' && outcome === 'command');
    await this.stage.waitUntil(answered, 5_000);
  }

  /** Whether the thread's conversation is gone, and people were told what to do. */
  get isForgotten(): boolean {
    return /no longer exists at Letta\. Write .!new/.test(this.text());
  }

  /** Whether {@link sayMore} came to something. */
  hasGoneOn(): boolean {
    return this.countMoreAnswers() > 0 || (this.isForgotten && !this.#hasStartedOver && this.endings().length > 1);
  }

  /** The bot's messages in the thread, without what only one person sees. */
  shownMessages(): SeenMessage[] {
    if (this.ts === '') return [];
    const messages = this.stage.slack.control.messages(CHANNEL, { thread_ts: this.ts });
    return messages.filter((message) => message.bot_id !== null && message.ephemeral === null && !message.deleted);
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
    return this.kind === 'words' ? WORDS : 0;
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
      return text.includes(this.id) && !this.#isStatus(message);
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
      ...statuses.filter((status) => status.thread_ts === this.ts).map(({ status }) => `status "${status}"`),
      ...this.withButton('bridge_stop').map(() => 'Stop button'),
      ...this.shownMessages().flatMap((message) => {
        const line = liveLineOf(message);
        return line === null ? [] : [`"${line}"`];
      }),
      ...this.withButton('bridge_approve').map(() => 'open card'),
      ...this.stage
        .activeRows()
        .filter((key) => key.includes(this.ts))
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
      user: ALICE,
      channel: CHANNEL,
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
