import { setTimeout as sleep } from 'node:timers/promises';
import type { Sandbox } from './sandbox.ts';
import type { Scene, Step } from './scene.ts';
import type { SmallSlack } from './slack/server.ts';
import { transcript } from './slack/transcript.ts';

export interface Played {
  name: string;
  ok: boolean;
  /** The expectations that failed, in words. */
  failures: string[];
  /** Each thread that the scene used, as its people saw it at the end. */
  threads: { name: string; channel: string; transcript: string; messages: unknown[] }[];
}

interface Thread {
  channel: string;
  /** `null`: the top level of a direct message. */
  root: string | null;
  /** Everybody who took part; one of them sees each private message. */
  people: Set<string>;
}

const POLL_MS = 25;

export interface PlayOptions {
  /** Ends the scene, even while it waits. */
  signal?: AbortSignal;
  /** ms to wait before a click, so that a person can see what is clicked; default 0. */
  linger?: number;
  /** How many times longer than a step says it waits, for machines that are busy; default 1. */
  patience?: number;
  /** Called with each thread as it begins. */
  onThread?(thread: { channel: string; root: string }): void;
}

/** Plays a scene against a running sandbox; goes on after a failed expectation, so that one run shows them all. */
export async function playScene(sandbox: Sandbox, scene: Scene, options: PlayOptions = {}): Promise<Played> {
  const player = new Player(sandbox, options);
  for (const [at, step] of scene.steps.entries()) {
    if (options.signal?.aborted) break;
    try {
      await player.playStep(step);
    } catch (error) {
      player.failures.push(`step ${at + 1}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const threads = [...player.threads].map(([name, thread]) => ({
    name,
    channel: thread.channel,
    transcript: transcriptOf(sandbox.slack, thread, [...thread.people][0]),
    messages: sandbox.slack.control.messages(thread.channel, filterOf(thread, [...thread.people][0])),
  }));
  return { name: scene.name, ok: player.failures.length === 0, failures: player.failures, threads };
}

class Player {
  readonly #sandbox: Sandbox;
  readonly threads = new Map<string, Thread>();
  readonly failures: string[] = [];
  readonly #options: PlayOptions;

  constructor(sandbox: Sandbox, options: PlayOptions) {
    this.#sandbox = sandbox;
    this.#options = options;
  }

  #deadlineIn(seconds: number): number {
    return Date.now() + seconds * 1_000 * (this.#options.patience ?? 1);
  }

  /** @throws when the scene was ended. */
  #pause(ms = POLL_MS): Promise<void> {
    return sleep(ms, undefined, { signal: this.#options.signal });
  }

  async playStep(step: Step): Promise<void> {
    const { control } = this.#sandbox.slack;
    if ('say' in step) return this.#sayText(step);
    if ('wait' in step) return this.#pause(step.wait);
    if ('bridge' in step) {
      if (step.bridge === 'stop') await this.#sandbox.stopBridge();
      if (step.bridge === 'kill') await this.#sandbox.killBridge();
      this.#sandbox.passTime(step.later * 60_000);
      if (step.bridge === 'start') await this.#sandbox.startBridge();
      return;
    }
    if ('window' in step) return this.#waitForWindow(step);
    if ('close' in step) {
      await this.#pause(this.#options.linger ?? 0);
      return void (await control.viewClose({ user: step.as }));
    }
    if ('fill' in step) return this.#submitModal(step.as, step.fill);
    if ('edit' in step) {
      const { to: text, as: user } = step;
      return void (await control.editMessage({ ...this.#findWritten(step.thread, user, step.edit), user, text }));
    }
    if ('delete' in step) {
      return void (await control.deleteMessage(this.#findWritten(step.thread, step.as, step.delete)));
    }
    if ('click' in step) return this.#clickButton(step);
    if ('command' in step) {
      const [command = '', ...words] = step.command.split(' ');
      const channel = await this.#channelOf(step.in, step.as);
      await control.command({ channel, user: step.as, command, text: words.join(' ') });
      const at = this.threads.get('main');
      at?.people.add(step.as);
      return;
    }
    if ('slack' in step) return void (await control.faults(step.slack as never));
    if ('letta' in step) return this.#sandbox.causeFault(step.letta);
    if ('never' in step) {
      const shown = textsOfBot(this.#sandbox.slack, this.#threadNamed(step.thread), step.as);
      const found = step.never.filter((text) => shown.includes(text));
      if (found.length > 0) throw new Error(`should not be there: ${found.join(', ')}`);
      return;
    }
    if ('gone' in step)
      return this.#waitFor(step, (shown) => step.gone.filter((text) => shown.includes(text)), 'still there');
    await this.#waitFor(step, (shown) => step.expect.filter((text) => !shown.includes(text)), 'not seen');
  }

  async #sayText(step: Extract<Step, { say: string }>): Promise<void> {
    const { control } = this.#sandbox.slack;
    const known = this.threads.get(step.thread);
    const channel = known?.channel ?? (await this.#channelOf(step.in, step.as));
    const thread_ts = known?.root ?? undefined;
    const said = await control.message({
      channel,
      user: step.as,
      text: step.say,
      ...(thread_ts && { thread_ts }),
      ...(step.files && { files: step.files }),
    });
    known?.people.add(step.as);
    if (!known) {
      const root = channel.startsWith('D') ? null : said.ts;
      this.threads.set(step.thread, { channel, root, people: new Set([step.as]) });
      this.#options.onThread?.({ channel, root: said.ts });
    }
  }

  #findWritten(name: string, user: string, words: string): { channel: string; messageTs: string } {
    const thread = this.#threadNamed(name);
    const messages = this.#sandbox.slack.control.messages(thread.channel, filterOf(thread, user));
    const message = messages.findLast((each) => each.user === user && !each.deleted && each.text.includes(words));
    if (!message) throw new Error(`${user} has not written "${words}"`);
    return { channel: thread.channel, messageTs: message.ts };
  }

  async #channelOf(place: string | undefined, user: string): Promise<string> {
    if (place !== 'dm') return place ?? 'C01GEN';
    return (await this.#sandbox.slack.control.openHome({ user, tab: 'messages' })).channel;
  }

  /** Clicks the newest button of that label, once there is one. */
  async #clickButton(step: Extract<Step, { click: string }>): Promise<void> {
    const { control } = this.#sandbox.slack;
    const thread = this.#threadNamed(step.thread);
    thread.people.add(step.as);
    const until = this.#deadlineIn(step.within);
    for (;;) {
      const messages = control.messages(thread.channel, filterOf(thread, step.as));
      const message = messages.findLast((each) => !each.deleted && hasButton(each.blocks, step.click));
      if (message) {
        await this.#pause(this.#options.linger ?? 0);
        const clicked = { channel: thread.channel, messageTs: message.ts, user: step.as, action: step.click };
        const { acked } = await control.interact(clicked);
        if (!acked) throw new Error(`the app did not accept the click on "${step.click}"`);
        return;
      }
      if (Date.now() > until) throw new Error(`no button "${step.click}" within ${step.within} s`);
      await this.#pause();
    }
  }

  async #waitForWindow({ window, as: user, within }: Extract<Step, { window: string[] }>): Promise<void> {
    const until = this.#deadlineIn(within);
    for (;;) {
      const shown = textsIn(this.#sandbox.slack.control.views(user).modals.at(-1)).join('\n');
      const missing = window.filter((text) => !shown.includes(text));
      if (missing.length === 0) return;
      if (Date.now() > until) throw new Error(`not in a window within ${within} s: ${missing.join(', ')}`);
      await sleep(POLL_MS);
    }
  }

  /** Submits the modal that the last click opened. */
  async #submitModal(user: string, values: Record<string, string>): Promise<void> {
    const { control } = this.#sandbox.slack;
    const until = this.#deadlineIn(5);
    while (control.views(user).modals.length === 0) {
      if (Date.now() > until) throw new Error('no modal was opened');
      await this.#pause();
    }
    await this.#pause(this.#options.linger ?? 0);
    const { errors } = await control.viewSubmit({ user, values });
    if (errors) throw new Error(`the modal was refused: ${JSON.stringify(errors)}`);
  }

  /** Waits until `wrong` finds nothing in what the bot has said. */
  async #waitFor(
    step: { thread: string; as: string; within: number },
    wrong: (shown: string) => string[],
    complaint: string,
  ): Promise<void> {
    const thread = this.#threadNamed(step.thread);
    const until = this.#deadlineIn(step.within);
    for (;;) {
      const left = wrong(textsOfBot(this.#sandbox.slack, thread, step.as));
      if (left.length === 0) return;
      if (Date.now() > until) throw new Error(`${complaint} within ${step.within} s: ${left.join(', ')}`);
      await this.#pause();
    }
  }

  #threadNamed(name: string): Thread {
    const thread = this.threads.get(name);
    if (!thread) throw new Error(`no thread "${name}": say something in it first`);
    return thread;
  }
}

/** Every text in a view, in order. */
function textsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    return name === 'text' && typeof inner === 'string' ? [inner] : textsIn(inner);
  });
}

function filterOf(thread: Thread, user: string | undefined) {
  return { ...(thread.root && { thread_ts: thread.root }), ...(user && { user }) };
}

function transcriptOf(slack: SmallSlack, thread: Thread, user: string | undefined): string {
  return transcript(slack, thread.channel, { ...(thread.root && { thread: thread.root }), ...(user && { user }) });
}

/**
 * What the bot said, in the thread or privately in its channel. What people wrote is left out, because it fulfils no
 * expectation.
 */
function textsOfBot(slack: SmallSlack, thread: Thread, user: string): string {
  const inThread = transcript(slack, thread.channel, { ...(thread.root && { thread: thread.root }), user, bot: true });
  const privately = slack.control.messages(thread.channel, { user }).filter((message) => message.ephemeral === user);
  return [inThread, ...privately.map((message) => message.text)].join('\n');
}

function hasButton(blocks: readonly unknown[], label: string): boolean {
  const shown = JSON.stringify(blocks);
  return ['text', 'accessibility_label'].some((name) => shown.includes(`"${name}":${JSON.stringify(label)}`));
}
