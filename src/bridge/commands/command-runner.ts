import type { Bindings } from '../access/bindings.ts';
import { can, type Place } from '../access/can.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import { type PolicyBook, settingsOf } from '../access/policy.ts';
import type { AuditEntry } from '../approvals/audit-entry.ts';
import {
  isDirect,
  type MessageKey,
  makeThreadKey,
  OTHER_CLIENT,
  parseMessageKey,
  parseThreadKey,
  type TeamId,
  type ThreadKey,
  type UserId,
} from '../ids.ts';
import type { Person } from '../person.ts';
import type { Audit, Clock, Conversations, Log, Surface, Threads, WhisperButtons } from '../ports.ts';
import { asCode } from '../text/as-code.ts';
import { moment } from '../text/moment.ts';
import { oneLine } from '../text/one-line.ts';
import { readSchedule, splitSchedule } from '../thread/core/drafts.ts';
import type { ScheduleChange } from '../thread/core/events.ts';
import type { ThreadWorker } from '../thread/worker.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import type { Machines } from '../view/home.ts';
import { within } from '../within.ts';
import { ATTACH } from '../words/attach.ts';
import { bindingText } from '../words/bindings.ts';
import { ANOTHER_CLIENT } from '../words/clients.ts';
import {
  ASK_THERE,
  giveNumberText,
  helpText,
  NO_REQUESTS,
  NOT_PAUSED,
  NOTHING_RUNS,
  pausedText,
  RESUMED,
  unknownCommandText,
  WHICH_MESSAGE,
  WRITE_IN_THREAD,
  whichThreadText,
  whichToStopText,
} from '../words/commands.ts';
import { feedbackText, NO_FEEDBACK } from '../words/feedback.ts';
import { MODELS } from '../words/models.ts';
import { SCHEDULES, scheduleLine, scheduleThreadText } from '../words/schedules.ts';
import { machinesText, savedRulesTexts } from '../words/status.ts';
import { STEERING } from '../words/steering.ts';
import { USAGE } from '../words/usage.ts';
import type { AttachDesk } from './attach-desk.ts';
import { type BindingRequest, parseAgent, parseMode } from './binding-requests.ts';
import type { FeedbackBook } from './feedback.ts';
import type { ModelDesk } from './model-desk.ts';
import type { OutcomeLog } from './outcome-log.ts';
import { aboutOf, type CommandName, commandList, isForAdmins, type ParsedCommand, similarCommand } from './table.ts';
import { readUsageDays, type UsageBook, usageText } from './usage.ts';
import { channelOfLink, explainMessage, linkedMessage } from './why.ts';

export interface CommandParts {
  workers: ThreadWorkers;
  threads: Pick<Threads, 'load'>;
  outcomes: OutcomeLog;
  killSwitch: KillSwitch;
  policies: PolicyBook;
  bindings: Bindings;
  audit: Audit;
  /** Left out: what people think of answers is not noted. */
  feedback?: FeedbackBook | undefined;
  /** Left out: turns are not counted. */
  usage?: Pick<UsageBook, 'list'> | undefined;
  /** Left out: no machine can dial in. */
  machines?: (() => Machines) | undefined;
  botUser: UserId;
  clock: Clock;
  surface: Pick<Surface, 'beginThread' | 'whisper'>;
  log: Log;
  /** Left out: models are not told. */
  modelDesk?: ModelDesk | undefined;
  /** Left out: rules on the agent's machine are not read. */
  conversations?: Pick<Conversations, 'readRules'> | undefined;
  /** Left out: conversations cannot be looked up. */
  attachDesk?: AttachDesk | undefined;
  /** Shows the last answer of a thread in the channel, too. @returns what the caller is told */
  shareAnswer(key: ThreadKey, user: UserId): Promise<string>;
}

/** Who gave a command and where; the door has let them in already. */
export interface CommandContext {
  person: Person;
  team: TeamId;
  place: Place;
  /** `null` for `/agent` in a channel, because Slack does not say in which thread it was typed. */
  thread: ThreadKey | null;
  /** What was typed before the command: `!` or nothing. */
  mark: '!' | '';
  /** The message that it was: it counts as handled, on disk together with what the command changes. */
  seen?: MessageKey;
}

type Order = CommandContext & { name: CommandName; args: string };

/** Runs commands. The answers are Markdown that only the caller sees. */
export class CommandRunner {
  readonly #parts: CommandParts;

  constructor(parts: CommandParts) {
    this.#parts = parts;
  }

  async runCommand(parsed: ParsedCommand, given: CommandContext): Promise<string> {
    if (parsed.kind === 'unknown') return explainUnknown(parsed.word, given.mark);
    const order = { ...given, ...parsed };
    if (isForAdmins(order.name, order.args)) {
      const verdict = can(this.#parts.policies.current(), given.person, { do: 'administer' }, given.place);
      if (!verdict.allowed) return verdict.notice;
    }
    if (order.thread !== null || aboutOf(order.name) === 'anything') return this.#runInThread(order, order.thread);
    if (order.name === 'schedule') return this.#scheduleInChannel(order);
    if (order.name === 'model') return this.#askModel(order, null);
    if (aboutOf(order.name) === 'thread') return whichThreadText(order.name);
    return this.#runInOwnThreads(order);
  }

  /** Runs the command in all threads that run for the caller; Stop only if there is exactly one, so that none is guessed. */
  async #runInOwnThreads(order: Order): Promise<string> {
    const mine = this.#parts.workers.ofRequester(order.person.id);
    const notice = order.name === 'status' ? this.#parts.killSwitch.notice : null;
    if (mine.length === 0) return notice ?? NOTHING_RUNS;
    if (mine.length > 1 && order.name === 'stop') {
      const lead = whichToStopText(mine.length);
      return [lead, ...mine.map(threadLine)].join('\n');
    }
    const lines = mine.map(async (key) => `${threadLine(key)}: ${await this.#runInThread(order, key)}`);
    return (await Promise.all(lines)).join('\n');
  }

  async #runInThread(order: Order, thread: ThreadKey | null): Promise<string> {
    const { botUser, killSwitch, machines, workers } = this.#parts;
    const { name, person } = order;
    switch (name) {
      case 'help':
        return helpText(botUser);
      case 'commands':
        return commandList();
      case 'why':
        return this.#explainMessage(order);
      case 'agent':
        return this.#bindChannel(order, thread, parseAgent(order.args));
      case 'mode':
        return this.#bindChannel(order, thread, parseMode(order.args));
      case 'audit':
        return this.#listAudit(order);
      case 'feedback':
        return this.#listFeedback(order);
      case 'usage':
        return this.#listUsage(order);
      case 'schedules':
        return this.#schedules(order, thread);
      case 'attach':
        return this.#parts.attachDesk?.command({ ...order, thread }, order.args) ?? ATTACH.notKnown;
      case 'pause':
        return this.#pauseAll(person.id);
      case 'resume':
        return this.#resumeAll(person.id);
      default:
        break;
    }
    if (thread === null) return WRITE_IN_THREAD;
    if (name === 'model') return this.#askModel(order, thread);
    const worker = workers.get(thread);
    const { seen } = order;
    switch (name) {
      case 'status':
        return [
          ...(killSwitch.notice ? [killSwitch.notice] : []),
          await worker.command({ name }),
          ...(await this.#rulesTexts(worker)),
          ...(machines ? [machinesText(machines().list)] : []),
        ].join('\n');
      case 'approve':
      case 'deny':
        return worker.command({ name, args: order.args, person });
      case 'stop':
        return worker.command({ name, by: person.id, seen });
      case 'share':
        return this.#parts.shareAnswer(thread, person.id);
      case 'queue':
        return worker.command({ name });
      case 'schedule': {
        const isTop = seen !== undefined && parseMessageKey(seen).ts === parseThreadKey(thread).root;
        const isGroup = order.place.channelKind === 'mpim';
        return worker.command({ name, ...splitSchedule(order.args), by: person, isTop, isGroup, seen });
      }
      case 'new':
      case 'compact':
      case 'detach':
      case 'fork':
        return worker.command({ name, by: person, seen });
      case 'skills':
      case 'run': {
        const verdict = can(this.#parts.policies.current(), person, { do: 'device_commands' }, order.place);
        if (!verdict.allowed) return verdict.notice;
        return worker.command(name === 'run' ? { name, by: person, words: order.args, seen } : { name, by: person.id });
      }
      case 'now':
        // With a message it is one, which only a thread can have.
        return order.args === '' ? worker.command({ name, by: person, seen }) : STEERING.writeInThread;
      case 'mute':
      case 'unmute':
        return worker.command({ name, by: person, seen });
      default:
        return name satisfies never;
    }
  }

  /** Which rules on the agent's machine let tools run without asking; nothing when that is not known in time. */
  async #rulesTexts({ workplaceSeen }: ThreadWorker): Promise<string[]> {
    const { conversations, clock, log } = this.#parts;
    if (!conversations || !workplaceSeen) return [];
    const { runtime, directory } = workplaceSeen;
    const asked = conversations.readRules(runtime, directory).catch((error: unknown) => {
      log.debug({ err: error }, 'could not read the rules on the machine of the agent');
      return [];
    });
    const rules = await within(clock, RULES_WITHIN_MS, asked);
    return rules === 'late' ? [] : savedRulesTexts(rules);
  }

  async #askModel({ args, person, place, team }: Order, thread: ThreadKey | null): Promise<string> {
    const about = { team, channel: place.channel, thread };
    return this.#parts.modelDesk?.command({ about, person, place }, args) ?? MODELS.notKnown;
  }

  /** The button below the answer to a command in a thread that opens the dialog of models; `null`: there is none. */
  async buttonsFor(parsed: ParsedCommand, { person, place, team, thread }: CommandContext): Promise<WhisperButtons> {
    const isStatus = parsed.kind === 'command' && parsed.name === 'status';
    if (!isStatus || thread === null) return {};
    const about = { team, channel: place.channel, thread };
    const models = (await this.#parts.modelDesk?.button({ about, person, place })) ?? null;
    return models === null ? {} : { models };
  }

  /** Lists only requests that the caller could decide or caused, because others must not see what runs elsewhere. */
  async #listAudit({ args, person }: Order): Promise<string> {
    const { audit, policies } = this.#parts;
    const wanted = args === '' ? AUDIT_SHOWN : Number(args);
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > AUDIT_MOST) return giveNumberText(AUDIT_MOST);
    const policy = policies.current();
    const isAdmin = can(policy, person, { do: 'administer' }, null).allowed;
    const entries = await audit.listLatest(wanted, ({ requester, thread }) => {
      const place = placeOfThread(thread);
      return isAdmin || requester === person.id || can(policy, person, { do: 'decide', requester }, place).allowed;
    });
    return entries.length === 0 ? NO_REQUESTS : entries.map(auditLine).join('\n');
  }

  /** Slack does not tell in which thread a slash command was typed, so a schedule of the channel begins one. */
  async #scheduleInChannel(order: Order): Promise<string> {
    const { surface, workers, clock, policies } = this.#parts;
    const { args, person, team, place } = order;
    const said = splitSchedule(args);
    const wanted = readSchedule(said, person, clock.now());
    if (typeof wanted === 'string') return wanted;
    const verdict = can(policies.current(), person, { do: 'speak' }, place);
    if (!verdict.allowed) return verdict.notice;
    const isGroup = place.channelKind === 'mpim';
    const address = { team, channel: place.channel, threadTs: null, ...(isGroup && { kind: 'mpim' as const }) };
    const root = (await surface.beginThread?.(address, scheduleThreadText(person.id))) ?? null;
    if (root === null) return whichThreadText(order.name);
    const thread = makeThreadKey({ team, channel: place.channel, root });
    return workers.get(thread).command({ name: 'schedule', ...said, by: person, isTop: true, isGroup });
  }

  /** Lists the schedules of the thread and those of the caller, admins all; or changes one, wherever it is. */
  async #schedules({ args, person, place }: Order, thread: ThreadKey | null): Promise<string> {
    const { workers, policies, clock } = this.#parts;
    const isAdmin = can(policies.current(), person, { do: 'administer' }, place).allowed;
    const known = workers.schedules().filter(({ schedule }) => schedule.wanted !== 'gone');
    const by = person.id;
    if (args !== '') {
      const change = parseScheduleChange(args);
      if (!change) return SCHEDULES.usage;
      const found = known.find(({ schedule }) => schedule.id === change.id);
      // Whether there is such a schedule is told to those alone who may see it.
      const maySee = found && (isAdmin || found.schedule.owner === by || found.key === thread);
      return maySee ? workers.get(found.key).command({ name: 'schedules', change, by, isAdmin }) : SCHEDULES.unknown;
    }
    const shown = known.filter(({ key, schedule }) => key === thread || isAdmin || schedule.owner === by);
    if (shown.length === 0) return thread === null ? SCHEDULES.noneOfYours : SCHEDULES.nothing;
    const now = clock.now();
    const lines = shown.map(({ key, schedule }) =>
      scheduleLine(schedule, now, key === thread ? undefined : threadLine(key).replace('- ', '')),
    );
    return lines.join('\n');
  }

  async #listFeedback({ args }: Order): Promise<string> {
    const wanted = args === '' ? AUDIT_SHOWN : Number(args);
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > AUDIT_MOST) return giveNumberText(AUDIT_MOST);
    const all = (await this.#parts.feedback?.list()) ?? [];
    if (all.length === 0) return NO_FEEDBACK;
    const good = all.filter(({ verdict }) => verdict === 'good').length;
    const latest = all.toReversed().slice(0, wanted);
    const lines = latest.map(({ thread, ...rest }) => ({ ...rest, where: threadLine(thread).replace('- ', '') }));
    return feedbackText({ good, bad: all.length - good }, lines);
  }

  async #listUsage({ args }: Order): Promise<string> {
    const days = readUsageDays(args);
    if (days === null) return USAGE.usage;
    return usageText((await this.#parts.usage?.list(days)) ?? [], days);
  }

  /** Explains a message of another channel only to its author, because others must not learn what is said there. */
  async #explainMessage({ args, team, place, person }: Order): Promise<string> {
    const linked = linkedMessage(team, args);
    if (!linked) return WHICH_MESSAGE;
    const { outcomes, threads } = this.#parts;
    const isOwnMessage = outcomes.findOutcome(linked.key)?.user === person.id;
    if (channelOfLink(linked) !== place.channel && !isOwnMessage) return ASK_THERE;
    return explainMessage(linked, outcomes, threads);
  }

  async #bindChannel({ place, person }: Order, thread: ThreadKey | null, order: BindingRequest): Promise<string> {
    const { bindings, workers } = this.#parts;
    if (order.kind === 'wrong') return order.notice;
    if (order.kind === 'show') {
      const running = thread === null ? [] : [await workers.get(thread).command({ name: 'status' })];
      return [bindingText(settingsOf(this.#parts.policies.current(), place)), ...running].join('\n');
    }
    await bindings.bindChannel(place, order.change);
    const text = bindingText(settingsOf(this.#parts.policies.current(), place));
    return thread === null
      ? text
      : `${text}\n${await workers.get(thread).command({ name: 'settings_changed', by: person.id })}`;
  }

  async #pauseAll(by: UserId): Promise<string> {
    const { killSwitch, workers } = this.#parts;
    await killSwitch.pause(by);
    const open = workers.wakeAll();
    return pausedText(open, workers.inBackground);
  }

  async #resumeAll(by: UserId): Promise<string> {
    const { killSwitch, workers } = this.#parts;
    if (!killSwitch.paused) return NOT_PAUSED;
    await killSwitch.resume(by);
    workers.wakeAll();
    return RESUMED;
  }
}

function parseScheduleChange(args: string): ScheduleChange | null {
  const [, how, id] = /^(pause|resume|run|delete) `?([A-Za-z0-9]{8})`?$/i.exec(args.trim()) ?? [];
  return how === undefined || id === undefined ? null : { do: how.toLowerCase() as ScheduleChange['do'], id };
}

function explainUnknown(words: string, mark: '!' | ''): string {
  return unknownCommandText(words, mark, similarCommand(words.split(/\s/, 1)[0] ?? ''));
}

/** Slack waits 3 s for the answer to a slash command. */
const RULES_WITHIN_MS = 1_500;
const AUDIT_SHOWN = 10;
const AUDIT_MOST = 50;

function placeOfThread(thread: ThreadKey): Place {
  const { channel } = parseThreadKey(thread);
  return { channel, channelKind: isDirect(channel) ? 'im' : 'channel', external: false };
}

function auditLine({ at, tool, title, requester, by, outcome, reason, via, thread, digest }: AuditEntry): string {
  const { channel } = parseThreadKey(thread);
  const where = isDirect(channel) ? 'a direct message' : `<#${channel}>`;
  const who = by === null ? '' : ` by <@${by}>`;
  const whose = requester === OTHER_CLIENT ? ANOTHER_CLIENT : `<@${requester}>`;
  const how = via === null ? '' : ` (${via})`;
  const what = `${asCode(oneLine(tool, 40))} ${asCode(oneLine(title, 80))}`;
  return `- ${moment(at)} ${what}, for ${whose} in ${where}: ${outcome.replaceAll('_', ' ')}${reason === undefined ? '' : ` (${reason.replaceAll('_', ' ')})`}${who}${how} · ${digest.slice(0, 12)}`;
}

function threadLine(key: ThreadKey): string {
  const { channel, root } = parseThreadKey(key);
  return isDirect(channel) ? '- direct message' : `- <#${channel}>, thread ${root}`;
}
