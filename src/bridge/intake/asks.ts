import { BoundedMap } from '../../bounded-map.ts';
import type { Door } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import { makeMessageKey, makeThreadKey, type UserId } from '../ids.ts';
import {
  type ActionOutcome,
  type InboundAsk,
  type InboundMessage,
  type InboundQuestion,
  type MessageOutcome,
  refused,
  type SubmissionOutcome,
} from '../inbound.ts';
import type { Clock, People, Random, Surface, Threads } from '../ports.ts';
import { hasSeen } from '../record/inbox.ts';
import { oneLine } from '../text/one-line.ts';
import { noNames, spansText } from '../turn/prompt.ts';
import { within } from '../within.ts';
import { aboutText, askedText, CANNOT_WRITE, NO_QUESTION, notAskedText, QUESTION_REFUSED } from '../words/asks.ts';
import type { Notices } from './notices.ts';

export interface AskParts {
  threads: Pick<Threads, 'load'>;
  surface: Pick<Surface, 'say'>;
  door: Door;
  notices: Pick<Notices, 'say'>;
  people: Pick<People, 'getPerson'>;
  killSwitch: KillSwitch;
  clock: Clock;
  random: Random;
  botUser: UserId;
  clockAheadMs?: (() => number) | undefined;
  /** Handles the question like a message that its author wrote just now. */
  handleMessage(message: InboundMessage): Promise<MessageOutcome>;
}

/** Slack waits 3 s for the answer to a dialog (docs/slack.md, Interactivity). */
const SAID_WITHIN_MS = 1_500;
/** What the messages say is kept while their dialogs are open; of a lost one the agent reads what Slack still has. */
const KEPT = 200;
const ABOUT = 300;
/** So many people are named in the dialog, for which a click leaves three seconds in all. */
const NAMED = 5;
const NAMED_WITHIN_MS = 500;

/** "Ask the agent about this" in a message's menu: the question becomes a message in the thread below it. */
export class Asks {
  readonly #parts: AskParts;
  /** By the time that the question counts as. */
  readonly #about = new BoundedMap<string, InboundMessage>(KEPT);
  #asked = 0;

  constructor(parts: AskParts) {
    this.#parts = parts;
  }

  /** Gives the dialog, unless this person may not ask there. */
  async openDialog(ask: InboundAsk): Promise<ActionOutcome> {
    const askedTs = this.#now();
    const why = await this.#refusalOf(this.#messageOf({ ...ask, askedTs, text: '' }));
    if (why !== null) return why;
    if (ask.message) this.#about.set(askedTs, ask.message);
    const about = ask.message ? await this.#lineOf(ask.message) : '';
    return { result: 'modal', modal: { kind: 'ask', ask, askedTs, about } };
  }

  /** What the message says, in one line, with the names of people where Slack tells them in time. */
  async #lineOf({ spans, team }: InboundMessage): Promise<string> {
    const { people, clock, botUser } = this.#parts;
    const users = new Map<string, string>();
    const ids = new Set(spans.flatMap((span) => (span.kind === 'user' ? [span.id] : [])));
    const asked = [...ids].slice(0, NAMED).map(async (id) => {
      const person = await people.getPerson(id, team).catch(() => null);
      if (person) users.set(id, person.name);
    });
    await within(clock, NAMED_WITHIN_MS, Promise.all(asked));
    return oneLine(spansText(spans, { ...noNames, users }, botUser), ABOUT);
  }

  /** Resolves when the question is on disk. It is said in the thread first, which shows whether the bot may write there. */
  async takeQuestion(question: InboundQuestion): Promise<SubmissionOutcome> {
    if (question.text.trim() === '') return { result: 'invalid', errors: [{ input: 0, text: NO_QUESTION }] };
    const { threads, surface, clock, notices, handleMessage } = this.#parts;
    const message = this.#messageOf(question);
    const { team, channel, threadTs } = message;
    const why = await this.#refusalOf(message);
    if (why !== null) return why;
    const record = await threads.load(makeThreadKey({ team, channel, root: threadTs ?? question.ts }));
    if (record && hasSeen(record, message.key)) return { result: 'decided' };
    const address = { team, channel, threadTs };
    const said = surface.say(address, askedText(message.user, question.text), 'once');
    const delivery = await within(clock, SAID_WITHIN_MS, said);
    if (delivery !== 'late' && !delivery.delivered) return refused('unreachable', CANNOT_WRITE, delivery.reason);
    const { outcome } = await handleMessage(message);
    if (outcome !== 'refused' && outcome !== 'ignored') return { result: 'decided' };
    notices.say(address, notAskedText(message.user));
    return refused('not_allowed', QUESTION_REFUSED, outcome);
  }

  async #refusalOf(message: InboundMessage) {
    const { door, killSwitch } = this.#parts;
    const { verdict } = await door.judgeMessage(message);
    if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
    return killSwitch.notice === null ? null : refused('paused', killSwitch.notice);
  }

  #messageOf({ team, channel, channelKind, ts, threadTs, askedTs, text, actor }: InboundQuestion): InboundMessage {
    return {
      key: makeMessageKey({ team, channel, ts: askedTs }),
      team,
      channel,
      channelKind,
      ...(channelKind !== 'im' && { isKindGuessed: true as const }),
      ts: askedTs,
      threadTs: threadTs ?? ts,
      user: actor.user,
      userTeam: actor.team,
      external: null,
      spans: [
        { kind: 'user', id: this.#parts.botUser },
        { kind: 'text', text: ` ${text.trim()}\n${aboutText(ts)}` },
      ],
      files: [],
      mentionsBot: true,
      asked: { to: ts, about: this.#about.get(askedTs) ?? null, startsThread: threadTs === null },
    };
  }

  /** Now, by Slack's clock, in Slack's form; no two are the same. */
  #now(): string {
    const { clock, random, clockAheadMs } = this.#parts;
    const now = clock.now() - (clockAheadMs?.() ?? 0);
    this.#asked += 1;
    // After a restart the count begins anew, so chance is a part of it.
    const rest = (Math.floor(random.next() * 1_000) * 1_000 + (this.#asked % 1_000)) % 1_000_000;
    return `${Math.floor(now / 1_000)}.${String(rest).padStart(6, '0')}`;
  }
}
