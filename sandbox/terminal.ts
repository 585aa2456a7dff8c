import type { Sandbox } from './sandbox.ts';
import type { SeenMessage } from './slack/control/api.ts';
import { labelOf as labelOfElement } from './slack/interactions.ts';
import { isObject, type JsonObject, objects } from './slack/model.ts';
import { messageInTerminal, viewInTerminal } from './slack/transcript.ts';

const CHANNEL = 'C01GEN';
/** A message that is in progress for this many looks is announced. */
const LOOKS_BEFORE_NOTE = 12;
/** Most messages of one conversation that are looked at. */
const LATEST = 200;

export interface TerminalPlace {
  channel: string;
  /** `ts` of the thread's root. */
  root: string;
}

/** The sandbox in a terminal, for one person: prints what they see, each message once it is whole, and acts for them. */
export class SandboxTerminal {
  readonly #sandbox: Sandbox;
  readonly #user: string;
  readonly #print: (text: string) => void;
  /** By message: what was printed of it, and how it looked at the last look. */
  readonly #printed = new Map<string, string>();
  #lastLook = new Map<string, string>();
  /** Messages that the person typed here: they need no copy. */
  readonly #typed = new Set<string>();
  /** How often each message was seen in progress. */
  readonly #inProgress = new Map<string, number>();
  #place: TerminalPlace | null = null;
  #shownWindow = '';

  constructor(sandbox: Sandbox, print: (text: string) => void, user = 'U01ALICE') {
    this.#sandbox = sandbox;
    this.#print = print;
    this.#user = user;
  }

  /** Where what is typed goes from now on. */
  moveTo(place: TerminalPlace): void {
    this.#place = place;
  }

  /** Prints what is new and stays as it is; call it a few times a second. */
  look(): void {
    const now = new Map<string, string>();
    for (const message of this.#seenMessages()) {
      const key = `${message.channel} ${message.ts}`;
      const text = messageInTerminal(message, this.#sandbox.slack);
      now.set(key, text);
      if (message.deleted || this.#typed.has(key) || this.#printed.get(key) === text) continue;
      // What is still being written is printed when it is whole.
      if (isInProgress(message)) {
        const looks = (this.#inProgress.get(key) ?? 0) + 1;
        this.#inProgress.set(key, looks);
        if (looks === LOOKS_BEFORE_NOTE) this.#print('… the agent goes on. Type [Stop] to stop it.\n');
        continue;
      }
      if (this.#lastLook.get(key) !== text) continue;
      this.#print(`${this.#headOf(message, this.#printed.has(key))}${text}\n`);
      this.#printed.set(key, text);
    }
    this.#lastLook = now;
    this.#showWindow();
  }

  /** Does what a line says: `[Button]` clicks, `/agent …` is a command, an open window is filled, all else is said. */
  async act(line: string): Promise<void> {
    const typed = line.trim();
    if (typed === '') return;
    const { control } = this.#sandbox.slack;
    const label = /^\[(.+)\]$/.exec(typed)?.[1];
    const window = control.views(this.#user).modals.at(-1);
    if (window) return this.#actInWindow(window, label, typed);
    if (label !== undefined) return this.#click(label);
    if (/^\/[a-z]/.test(typed)) {
      const [command = '', ...words] = typed.split(' ');
      const channel = this.#place?.channel ?? CHANNEL;
      const { acked } = await control.command({ channel, user: this.#user, command, text: words.join(' ') });
      if (!acked) throw new Error(`${command} failed because the app did not respond.`);
      return;
    }
    await this.#say(typed);
  }

  async #say(typed: string): Promise<void> {
    const place = this.#place;
    const text = place === null ? `@agent ${typed}` : typed;
    const thread = place === null || place.channel.startsWith('D') ? {} : { thread_ts: place.root };
    const channel = place?.channel ?? CHANNEL;
    const said = await this.#sandbox.slack.control.message({ channel, user: this.#user, text, ...thread });
    this.#typed.add(`${channel} ${said.ts}`);
    this.#place ??= { channel, root: said.ts };
  }

  /** Clicks the newest button or menu entry of that label that the person sees. */
  async #click(label: string): Promise<void> {
    const { control } = this.#sandbox.slack;
    for (const message of this.#seenMessages().toSorted((a, b) => (a.ts < b.ts ? 1 : -1))) {
      const found = message.deleted ? undefined : findByLabel(message.blocks, label);
      if (!found) continue;
      const { channel, ts: messageTs } = message;
      const { acked } = await control.interact({ channel, messageTs, user: this.#user, ...found });
      if (!acked) throw new Error(`The app did not accept the click on [${label}].`);
      return;
    }
    throw new Error(`There is no [${label}] to click.`);
  }

  async #actInWindow(window: JsonObject, label: string | undefined, typed: string): Promise<void> {
    const { control } = this.#sandbox.slack;
    const user = this.#user;
    if (label !== undefined) {
      if (isSame(label, closeOf(window))) return void (await control.viewClose({ user }));
      const found = findByLabel(objects(window.blocks), label);
      if (found) return void (await control.interact({ user, view: 'modal', ...found }));
      if (!isSame(label, labelOf(window.submit))) {
        throw new Error(`There is no [${label}] in this window. It has ${waysOut(window)}.`);
      }
    }
    const values = label === undefined ? valuesOf(window, typed) : {};
    const { errors } = await control.viewSubmit({ user, values });
    if (errors) throw new Error(Object.values(errors).join(' '));
  }

  #showWindow(): void {
    const window = this.#sandbox.slack.control.views(this.#user).modals.at(-1);
    const text = window ? viewInTerminal(objects(window.blocks), this.#sandbox.slack) : '';
    const shown = window ? `${labelOf(window.title)}\n${text}` : '';
    if (shown === this.#shownWindow) return;
    this.#shownWindow = shown;
    if (!window) return;
    const typing = labelOf(window.submit) === '' ? '' : 'Type your text, or ';
    const body = text.replace(/^/gm, '  ');
    this.#print(`┌ Window: ${labelOf(window.title)}\n${body}\n└ ${typing}${waysOut(window)}\n`);
  }

  /** Everything that the person can see, oldest first in each conversation. */
  #seenMessages(): SeenMessage[] {
    const { control } = this.#sandbox.slack;
    const mine = control.state().channels.filter(({ members }) => members.includes(this.#user));
    return mine.flatMap(({ id }) => control.messages(id, { user: this.#user, latest: LATEST }));
  }

  /** Says where a message is that is not in the thread one types in, and whether it was printed before. */
  #headOf({ channel, ts, thread_ts }: SeenMessage, isChanged: boolean): string {
    const isHere = this.#place?.channel === channel && this.#place.root === (thread_ts ?? ts);
    const name = this.#sandbox.slack.control.state().channels.find(({ id }) => id === channel)?.name ?? '';
    const where = isHere ? '' : name === '' || channel.startsWith('D') ? 'direct message' : `#${name}`;
    const notes = [where, isChanged ? 'changed' : ''].filter((note) => note !== '');
    return notes.length === 0 ? '' : `(${notes.join(', ')}) `;
  }
}

const labelOf = (value: unknown): string => (isObject(value) && typeof value.text === 'string' ? value.text : '');
const closeOf = (window: JsonObject): string => labelOf(window.close) || 'Close';

/** The buttons at a window's foot. */
const waysOut = (window: JsonObject): string =>
  [labelOf(window.submit), closeOf(window)]
    .filter((label) => label !== '')
    .map((label) => `[${label}]`)
    .join(' or ');

/** What a typed line fills in: the option that it names, else the first field for text. */
function valuesOf(window: JsonObject, typed: string): Record<string, string> {
  for (const block of objects(window.blocks)) {
    const options = isObject(block.element) ? objects(block.element.options) : [];
    const option = options.find(({ text }) => isSame(typed, labelOf(text)));
    if (option) return { [String(block.block_id)]: String(option.value) };
  }
  const isText = ({ element }: JsonObject) => isObject(element) && element.type === 'plain_text_input';
  const field = objects(window.blocks).find(isText);
  return field ? { [String(field.block_id)]: typed } : {};
}

/** Labels as people type them: without regard to case, and to the dots of what opens a window. */
function isSame(typed: string, label: string): boolean {
  const plain = (text: string) =>
    text
      .replace(/(?:…|\.\.\.)$/u, '')
      .trim()
      .toLowerCase();
  return plain(typed) === plain(label);
}

function elementsOf(block: JsonObject): JsonObject[] {
  return [...objects(block.elements), ...(isObject(block.accessory) ? [block.accessory] : [])];
}

/** The button or the entry of a menu with this label. */
function findByLabel(
  blocks: readonly JsonObject[],
  label: string,
): { action: string; value?: string; option?: string } | undefined {
  for (const element of blocks.flatMap(elementsOf)) {
    const action = String(element.action_id);
    if (element.type === 'button' && isSame(label, labelOfElement(element))) {
      return typeof element.value === 'string' ? { action, value: element.value } : { action };
    }
    const option = objects(element.options).find(({ text }) => isSame(label, labelOf(text)));
    if (option) return { action, option: String(option.value) };
  }
  return undefined;
}

/** Whether the app still writes a message: all that it offers is to stop that. */
function isInProgress(message: SeenMessage): boolean {
  if (message.bot_id === null) return false;
  const elements = message.blocks.flatMap(elementsOf).filter(({ type }) => type !== 'image' && type !== 'mrkdwn');
  const labels = elements.filter(({ type }) => type === 'button').map(({ text }) => labelOf(text));
  return labels.includes('Stop') && labels.every((label) => label === 'Stop');
}
