import { makeMessageKey, makeToken } from '../../src/bridge/ids.ts';
import type { InboundClick, InboundMessage, InboundReaction, Span } from '../../src/bridge/inbound.ts';
import { parseActionId } from '../../src/slack/render/action-ids.ts';
import type { VirtualClock } from './clock.ts';
import { filesOfMessage } from './files.ts';
import type { Chance } from './random.ts';
import { BOT, type Button, type SimSlack, type SlackMessage, TEAM, visibleText } from './slack.ts';
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
  /** Somebody writes far more than can be answered. */
  isFlooding = false;

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
    for (const id of MEMBERS) slack.people.set(id, { id, team_id: TEAM, profile: { display_name: `Name ${id}` } });
    slack.people.set(GUEST, { id: GUEST, team_id: TEAM, is_restricted: true, profile: { display_name: 'Eve' } });
  }

  /** Somebody does something. */
  doSomething() {
    if (this.#reacting.happens(this.#reactsOften)) this.#react();
    if (this.#joining.happens(this.#joinsOften)) return this.#join();
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

  /** Everyone who is asked approves or answers; offers are taken only now and then. */
  answerAll() {
    const seen = new Set<string>();
    for (const button of this.#slack.listButtons()) {
      const [asked] = asksOf(button.message);
      const name = parseActionId(button.actionId)?.name;
      if (!asked || !name || seen.has(button.token)) continue;
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
    const buttons = this.#slack.listButtons();
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

/** Who a card or an offer asks: mentioned in its first line. */
function asksOf(message: SlackMessage): string[] {
  if (!/^\s*<@U\w+>/.test(visibleText(message))) return [];
  return [...visibleText(message).matchAll(/<@(U\w+)>/g)].flatMap((found) => (found[1] ? [found[1]] : []));
}
