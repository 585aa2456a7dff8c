import { makeMessageKey, makeToken } from '../../src/bridge/ids.ts';
import type { InboundClick, InboundMessage, InboundReaction, Span } from '../../src/bridge/inbound.ts';
import { parseActionId } from '../../src/slack/render/action-ids.ts';
import type { VirtualClock } from './clock.ts';
import { filesOfMessage } from './files.ts';
import type { Chance } from './random.ts';
import { ADMIN, BOT, type Button, type SimSlack, type SlackMessage, TEAM, visibleText } from './slack.ts';
import type { Story } from './story.ts';

/** A message of a person that may be for the agent. */
export interface Written {
  /** Occurs in this message's text and nowhere else. */
  name: string;
  message: InboundMessage;
  /** What is written below it belongs to this thread; `null` for a direct message's top level. */
  root: string | null;
  at: number;
  ackedAt: number | null;
  outcomes: string[];
  /** Deliveries that Slack still tries; with 0 and no outcome only catch-up can find the message. */
  trying: number;
  /** Set when a reaction says it: the last event of it. Every one has another key. */
  reaction?: { event: InboundReaction; about: string; keys: string[]; isTakenBack: boolean } | undefined;
  /** Set once its author handed it to the running turn: it may be answered before what waits longer. */
  isHurried?: true;
  /** When, and in which life, the bridge refused it because too many messages waited. */
  turnedAway: { at: number; life: number } | null;
}

export interface Click {
  token: string;
  action: InboundClick['name'];
  user: string;
  /** What the card was about, as shown when it was clicked. */
  about: string | null;
  /** The schedule that the card was about. */
  schedule: string | null;
  /** `allow`, `deny`, `answer …` as Letta must hear it; `null` for what decides nothing. */
  behavior: string | null;
  /** Who the card asks. */
  asks: string[];
  at: number;
  result: string;
}

export interface Outbound {
  onMessage(written: Written): void;
  onReaction(written: Written, event: InboundReaction): void;
  onClick(click: Click, action: InboundClick): void;
  /** The agent has posted a message: what is written below it belongs to the conversation of the thread `home`. */
  onPosted(home: { channel: string; root: string }, message: { channel: string; ts: string }, user: string): void;
}

const MEMBERS = ['U1ALICE', 'U2BOB'] as const;
const GUEST = 'U3EVE';
const CHANNELS = ['C1GEN', 'C2DEV'] as const;
const DM = 'D1ALICE';
const OFFERED: ReadonlySet<string> = new Set(['run_now', 'drop', 'send_again', 'continue', 'ask_again']);

/** Whether somebody may speak to the agent. */
export function isMember(user: string): boolean {
  return MEMBERS.some((member) => member === user);
}

/** People who write, reply and click: also twice, and on what is not theirs. */
export class SimPeople {
  readonly written: Written[] = [];
  readonly clicks: Click[] = [];
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #story: Story;
  readonly #slack: SimSlack;
  readonly #outbound: Outbound;
  readonly #threads: { channel: string; root: string | null }[] = [];
  readonly #mostThreads: number;
  /** Of a stream of its own: worlds without reactions are what they were. */
  readonly #reacting: Chance;
  readonly #reactsOften: number;
  /** The same. */
  readonly #joining: Chance;
  readonly #joinsOften: number;
  /** The same. */
  readonly #direct: Chance;
  /** Whether all threads are in a direct message. */
  readonly #isDirect: boolean;
  /** The same. */
  readonly #steering: Chance;
  readonly #steersOften: number;
  /** Whether messages are handed to running turns: seeds that fail with it are still to be looked into. */
  maySteer = false;
  /** Somebody writes far more than can be answered. */
  isFlooding = false;
  /** Whoever is told that a click failed clicks again, on the same card. */
  triesAgain = false;
  /** Of streams of their own. */
  readonly #trying: Chance;
  readonly #impatient: Chance;

  constructor(clock: VirtualClock, chance: Chance, story: Story, slack: SimSlack, outbound: Outbound) {
    this.#clock = clock;
    this.#chance = chance;
    this.#story = story;
    this.#slack = slack;
    this.#outbound = outbound;
    this.#mostThreads = 1 + chance.intBelow(4);
    this.#reacting = chance.forkStream('reactions');
    this.#reactsOften = this.#reacting.happens(0.4) ? this.#reacting.between(0.02, 0.15) : 0;
    this.#joining = chance.forkStream('joining');
    this.#joinsOften = this.#joining.happens(0.3) ? this.#joining.between(0.01, 0.04) : 0;
    this.#direct = chance.forkStream('direct threads');
    this.#trying = chance.forkStream('trying again');
    this.#impatient = chance.forkStream('impatient');
    this.#isDirect = this.#direct.happens(0.25);
    this.#steering = chance.forkStream('steering');
    this.#steersOften = this.#steering.happens(0.4) ? this.#steering.between(0.03, 0.15) : 0;
    for (const id of MEMBERS) slack.people.set(id, { id, team_id: TEAM, profile: { display_name: `Name ${id}` } });
    slack.people.set(GUEST, { id: GUEST, team_id: TEAM, is_restricted: true, profile: { display_name: 'Eve' } });
  }

  /** Somebody does something. */
  doSomething() {
    if (this.#reacting.happens(this.#reactsOften)) this.#react();
    if (this.#joining.happens(this.#joinsOften)) return this.#join();
    if (this.maySteer && this.#steering.happens(this.#steersOften)) return this.#steer();
    const chance = this.#chance;
    const luck = chance.next();
    if (this.#threads.length === 0 || luck < 0.08) return this.#openThread();
    if (luck < 0.5) return this.#writeReply();
    if (luck < 0.55) return this.#writeCommand();
    return this.#clickSomething();
  }

  /** Somebody stops what runs in the background of a thread, if anything does. */
  stopTasks() {
    const button = this.#slack.listButtons().find(({ message }) => visibleText(message).startsWith('Still running in'));
    if (button) this.#pressButton(button, button.message.channel === DM ? MEMBERS[0] : this.#chance.pickOne(MEMBERS));
  }

  /** A click failed: whoever made it clicks again, and may have thought better of it. */
  tryAgain({ token, user, at }: Click) {
    const chance = this.#trying;
    if (!this.triesAgain || !chance.happens(0.8)) return;
    this.#clock.after(chance.between(500, 4_000), () => {
      const [message] = this.#slack.listButtons().flatMap((button) => (button.token === token ? [button.message] : []));
      const buttons = this.#slack.listButtons().filter((button) => button.message === message && !isSendNow(button));
      if (buttons.length > 0 && at < this.#clock.now()) this.#pressButton(chance.pickOne(buttons), user);
    });
  }

  /** Somebody has waited long enough: they stop what runs in a thread, and then write there. */
  stopAndGoOn({ channel, threadTs }: { channel: string; threadTs: string | null }) {
    const chance = this.#impatient;
    const user = channel === DM ? MEMBERS[0] : chance.pickOne(MEMBERS);
    const isStop = ({ actionId, message }: Button) =>
      parseActionId(actionId)?.name === 'stop' && message.channel === channel && message.thread === threadTs;
    this.#clock.after(chance.between(1_000, 8_000), () => {
      const stop = this.#slack.listButtons().find(isStop);
      if (!stop) return;
      this.#pressButton(stop, user);
      this.#clock.after(
        chance.between(1_000, 10_000),
        () => void this.#writeMessage(user, channel, threadTs, true, 'do'),
      );
    });
  }

  /** Everyone who is asked approves or answers; offers are taken only now and then. */
  answerAll() {
    const seen = new Set<string>();
    for (const button of this.#slack.listButtons()) {
      const [asked] = asksOf(button.message);
      const name = parseActionId(button.actionId)?.name;
      if (!asked || !name || seen.has(button.token)) continue;
      if (this.#slack.people.get(asked)?.is_restricted) {
        // Whoever lost access decides nothing any more, and nobody decides for them: an admin can only stop the turn.
        if (name === 'stop') this.#pressButton(button, ADMIN);
        continue;
      }
      if (name !== 'approve' && name !== 'answer' && !(OFFERED.has(name) && this.#chance.happens(0.2))) continue;
      seen.add(button.token);
      this.#pressButton(button, asked);
    }
  }

  // ---- schedules ----

  /** Somebody orders a schedule in one of the threads, if there is one. */
  orderSchedule(user: string, chance: Chance, name: string) {
    const threads = this.#threads.filter(({ channel }) => channel !== DM);
    if (threads.length === 0) return;
    const { channel, root } = chance.pickOne(threads);
    const text = `!schedule every day 9:00 :: do ${name}`;
    this.#sendText(user, channel, root, true, text, name);
  }

  changeSchedule(user: string, { channel, root }: { channel: string; root: string | null }, words: string) {
    this.#sendText(user, channel, root, true, `!schedules ${words}`, 'schedules');
  }

  /** Somebody decides about a schedule that waits for its owner's word: mostly its owner. */
  decideSchedule(chance: Chance) {
    const isOf = (id: string) => ['make_schedule', 'drop_schedule'].includes(parseActionId(id)?.name ?? '');
    const buttons = this.#slack.listButtons().filter(({ actionId }) => isOf(actionId));
    if (buttons.length === 0) return;
    const make = buttons.filter(({ actionId }) => parseActionId(actionId)?.name === 'make_schedule');
    const button = chance.pickOne(make.length > 0 && chance.happens(0.8) ? make : buttons);
    const [owner] = asksOf(button.message);
    this.#pressButton(button, owner && chance.happens(0.85) ? owner : chance.pickOne([...MEMBERS, GUEST]));
  }

  // ---- writing ---------------------------------------------------------------------------------

  #openThread() {
    const chance = this.#chance;
    if (this.#threads.length >= this.#mostThreads) return this.#writeReply();
    if (this.#isDirect) return this.#openDirectThread();
    if (chance.happens(0.2) && !this.#threads.some((thread) => thread.root === null)) {
      this.#threads.push({ channel: DM, root: null });
      this.#writeMessage(MEMBERS[0], DM, null, false, 'do');
      return;
    }
    const channel = chance.pickOne(CHANNELS);
    const user = chance.happens(0.05) ? GUEST : chance.pickOne(MEMBERS);
    const message = this.#writeMessage(user, channel, null, true, 'do');
    if (user !== GUEST) this.#threads.push({ channel, root: message.ts });
    return undefined;
  }

  /** A message of the agent elsewhere, which begins another thread of a conversation. */
  #join() {
    const homes = this.#threads.flatMap(({ channel, root }) => (root === null ? [] : [{ channel, root }]));
    if (homes.length === 0 || this.#threads.length > this.#mostThreads) return undefined;
    const channel = this.#joining.pickOne(CHANNELS);
    const user = this.#joining.pickOne(MEMBERS);
    const { ts } = this.#slack.addMessage(BOT, channel, null, 'posted by a tool');
    this.#story.addLine(BOT, `posts ${ts} in ${channel}`);
    this.#threads.push({ channel, root: ts });
    this.#outbound.onPosted(this.#joining.pickOne(homes), { channel, ts }, user);
    return undefined;
  }

  /** Somebody writes in a new thread of their direct message, where answers are streamed natively. */
  #openDirectThread() {
    const { ts } = this.#slack.addMessage(BOT, DM, null, 'posted by a tool');
    this.#threads.push({ channel: DM, root: ts });
    this.#writeMessage(MEMBERS[0], DM, ts, false, 'do');
  }

  /** Somebody hands what they wrote, or write now, to the turn that runs. */
  #steer() {
    const chance = this.#steering;
    const buttons = this.#slack.listButtons().filter(isSendNow);
    if (buttons.length > 0 && chance.happens(0.6)) {
      const button = chance.pickOne(buttons);
      const user = button.message.channel === DM ? MEMBERS[0] : chance.pickOne([...MEMBERS, GUEST]);
      this.#noteHurry(user, button.message.channel);
      return this.#pressButton(button, user);
    }
    if (this.#threads.length === 0) return undefined;
    const { channel, root } = chance.pickOne(this.#threads);
    const user = channel === DM ? MEMBERS[0] : chance.pickOne(MEMBERS);
    // Without words it is a command for what waits.
    if (chance.happens(0.2)) {
      this.#noteHurry(user, channel);
      return void this.#sendText(user, channel, root, channel !== DM, '!now', '!now');
    }
    this.#writeMessage(user, channel, root, chance.happens(0.6), '!now and');
    const written = this.written.at(-1);
    if (written) written.isHurried = true;
    return undefined;
  }

  /** What this person wrote in the channel so far may be handed over. */
  #noteHurry(user: string, channel: string): void {
    for (const written of this.written) {
      if (written.message.user === user && written.message.channel === channel) written.isHurried = true;
    }
  }

  #writeReply() {
    const chance = this.#chance;
    const { channel, root } = chance.pickOne(this.#threads);
    const user = channel === DM ? MEMBERS[0] : chance.happens(0.05) ? GUEST : chance.pickOne(MEMBERS);
    this.#writeMessage(user, channel, root, chance.happens(0.6), 'and');
    // People think in bursts.
    const burst = this.isFlooding && chance.happens(0.1) ? 20 : 3;
    for (let more = chance.happens(0.25) ? 1 + chance.intBelow(burst) : 0; more > 0; more -= 1) {
      this.#clock.after(chance.between(20, 2_500), () => {
        this.#writeMessage(user, channel, root, chance.happens(0.6), 'also');
      });
    }
  }

  #writeCommand() {
    const chance = this.#chance;
    const { channel, root } = chance.pickOne(this.#threads);
    const user = channel === DM ? MEMBERS[0] : chance.pickOne(MEMBERS);
    const command = chance.pickOne(['!stop', '!stop', '!new', '!status']);
    this.#sendText(user, channel, root, channel !== DM, command, command);
  }

  /** Somebody reacts to a message, and may take that back, and do it again. */
  #react() {
    const chance = this.#reacting;
    const isFree = ({ message, reaction }: Written) =>
      reaction === undefined &&
      message.channel !== DM &&
      !this.written.some((other) => other.reaction?.about === message.ts);
    const free = this.written.filter(isFree);
    if (free.length === 0) return;
    const about = chance.pickOne(free);
    const name = `msg${this.written.length + 1}z`;
    const user = chance.happens(0.1) ? GUEST : chance.pickOne(MEMBERS);
    const { channel, ts } = about.message;
    const place = { team: TEAM, channel, channelKind: 'channel', external: false } as const;
    const event: InboundReaction = {
      ...{ ...place, kind: 'added', ts, isOurs: false, emoji: name, user, at: this.#slack.nextTs() },
    };
    const key = (at: string) => makeMessageKey({ team: TEAM, channel, ts: at });
    const message: InboundMessage = {
      ...{ ...place, key: key(event.at), ts: event.at, threadTs: about.root, user, userTeam: null },
      ...{ spans: [], files: [], mentionsBot: true },
    };
    const fresh = { ackedAt: null, outcomes: [], trying: 0, turnedAway: null };
    const reaction = { event, about: ts, keys: [message.key], isTakenBack: false };
    const written: Written = { name, message, root: about.root, at: this.#clock.now(), reaction, ...fresh };
    this.written.push(written);
    const tell = (kind: InboundReaction['kind'], at: string) => {
      this.#slack.react(channel, ts, user, name, kind === 'added');
      this.#story.addLine(user, `${kind === 'added' ? 'reacts' : 'reacts no more'} with ${name} to ${ts}`);
      if (kind === 'removed') reaction.isTakenBack = true;
      else if (at !== event.at) {
        reaction.keys.push(key(at));
        written.at = this.#clock.now();
      }
      this.#outbound.onReaction(written, { ...event, kind, at });
    };
    tell('added', event.at);
    if (!chance.happens(0.4)) return;
    this.#clock.after(chance.between(100, 60_000), () => tell('removed', this.#slack.nextTs()));
    if (chance.happens(0.5))
      this.#clock.after(chance.between(60_001, 120_000), () => tell('added', this.#slack.nextTs()));
  }

  #writeMessage(user: string, channel: string, root: string | null, mention: boolean, verb: string): SlackMessage {
    const name = `msg${this.written.length + 1}z`;
    return this.#sendText(user, channel, root, mention, `${verb} ${name}`, name);
  }

  #sendText(
    user: string,
    channel: string,
    root: string | null,
    mention: boolean,
    text: string,
    name: string,
  ): SlackMessage {
    const posted = this.#slack.addMessage(user, channel, root, mention ? `<@${BOT}> ${text}` : text);
    const spans: Span[] = [
      ...(mention ? [{ kind: 'user', id: BOT } as const] : []),
      { kind: 'text', text: mention ? ` ${text}` : text },
    ];
    const message: InboundMessage = {
      key: makeMessageKey({ team: TEAM, channel, ts: posted.ts }),
      team: TEAM,
      channel,
      channelKind: channel === DM ? 'im' : 'channel',
      ts: posted.ts,
      threadTs: root,
      user,
      userTeam: null,
      external: false,
      spans,
      files: name.startsWith('msg') ? filesOfMessage(this.written.length + 1) : [],
      mentionsBot: mention,
    };
    const place = root ?? (channel === DM ? null : posted.ts);
    const fresh = { ackedAt: null, outcomes: [], trying: 0, turnedAway: null };
    const written: Written = { name, message, root: place, at: this.#clock.now(), ...fresh };
    this.#story.addLine(
      user,
      `writes ${mention ? '@bot ' : ''}"${text}" in ${channel}/${place ?? 'top'} at ${posted.ts}`,
    );
    if (name.startsWith('msg')) this.written.push(written);
    this.#outbound.onMessage(written);
    return posted;
  }

  // ---- clicking --------------------------------------------------------------------------------

  #clickSomething() {
    const chance = this.#chance;
    const buttons = this.#slack.listButtons().filter((button) => !isSendNow(button));
    if (buttons.length === 0) return;
    const button = chance.pickOne(buttons);
    // Press Stop only now and then, or no turn would end well.
    if (parseActionId(button.actionId)?.name === 'stop' && chance.happens(0.75)) return;
    const [asked] = asksOf(button.message);
    const anybody = button.message.channel === DM ? MEMBERS[0] : chance.pickOne([...MEMBERS, GUEST]);
    const user = asked && chance.happens(0.7) ? asked : anybody;
    this.#pressButton(button, user);
    if (chance.happens(0.2)) {
      const second = chance.happens(0.5) ? button : chance.pickOne(buttons);
      const other = second.message.channel === DM ? MEMBERS[0] : chance.happens(0.5) ? user : chance.pickOne(MEMBERS);
      this.#clock.after(chance.between(1, 300), () => this.#pressButton(second, other));
    }
  }

  #pressButton({ message, actionId, token }: Button, user: string) {
    const parsed = parseActionId(actionId);
    if (!parsed) return;
    const text = visibleText(message);
    const about = /perm\d+z/.exec(text)?.[0] ?? null;
    const answer = parsed.choice?.options[0] === 0 ? 'Blue' : 'Red';
    const behaviors: Partial<Record<InboundClick['name'], string>> = {
      approve: 'allow',
      allow_command: 'allow',
      // The command changes; no question is answered.
      edit_command: 'answer null',
      deny: 'deny',
      deny_with_reason: 'deny',
      answer: `answer {"Which ${about}?":"${answer}"}`,
      answer_in_words: `answer {"Which ${about}?":"Green"}`,
    };
    const behavior = behaviors[parsed.name] ?? null;
    const click: Click = {
      token,
      action: parsed.name,
      user,
      about,
      schedule: /sched\d+z/.exec(text)?.[0] ?? null,
      behavior,
      asks: asksOf(message),
      at: this.#clock.now(),
      result: 'lost',
    };
    this.clicks.push(click);
    this.#story.addLine(user, `clicks ${parsed.name}${about ? ` on ${about}` : ''}`);
    this.#outbound.onClick(click, {
      ...parsed,
      token: makeToken(token),
      actor: { user, team: TEAM },
      team: TEAM,
      channel: message.channel,
      messageTs: message.ts,
      threadTs: message.thread,
    });
  }
}

const isSendNow = ({ actionId }: Button) => parseActionId(actionId)?.name === 'send_now';

/** Who a card or an offer asks: mentioned in its first line. */
function asksOf(message: SlackMessage): string[] {
  if (!/^\s*<@U\w+>/.test(visibleText(message))) return [];
  return [...visibleText(message).matchAll(/<@(U\w+)>/g)].flatMap((found) => (found[1] ? [found[1]] : []));
}
