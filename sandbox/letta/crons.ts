import { randomBytes } from 'node:crypto';
import { readRule, wallClock, zonedIso } from './cron-rule.ts';
import type { Outlet } from './outlet.ts';
import { type Json, type Runtime, text } from './types.ts';

const MOST_OF_AGENT = 50;
const MOST_RUNS = 200;
const MISSED_AFTER_MS = 5 * 60_000;
const NOTICE =
  'You are running autonomously: no user is watching this turn and questions will not be answered. Deliver results through your available channels or record them in memory, and work until the task is done or genuinely blocked.';

interface Task {
  readonly id: string;
  agent_id: string;
  conversation_id: string;
  name: string;
  description: string;
  cron: string;
  timezone: string;
  recurring: boolean;
  prompt: string;
  status: 'active' | 'paused' | 'fired' | 'missed';
  fire_count: number;
  scheduled_for: string | null;
  missed_count: number;
  [field: string]: unknown;
}

/** Where schedules fire. */
interface Place {
  readonly runtime: Runtime;
  emitEvent(type: string, body: Json): void;
  queueCron(shown: string, content: string): string;
}

interface CronHost {
  createConversation(agentId: string, summary: string | null): Place | null;
  openConversation(runtime: Runtime): Place;
}

type Answer = { readonly body: Json; readonly changed?: { agent_id?: string; conversation_id?: string } | undefined };
type Handler = (frame: Json) => Answer | null;

/**
 * Letta's scheduler: `cron_…` and what it fires (docs/letta-protocol.md, Schedules). It looks at the clock when
 * {@link tick} says so; agents, conversations and time zones are not checked, as in the recordings.
 */
export class Crons {
  readonly #agents: CronHost;
  #tasks: Task[] = [];
  #runs: Json[] = [];
  /** Of the last tick: a task fires once in a minute. */
  #minute = { at: -1, fired: new Set<string>() };

  constructor(agents: CronHost) {
    this.#agents = agents;
  }

  static isCommand(type: string): boolean {
    return COMMANDS.has(type);
  }

  get tasks(): readonly Json[] {
    return this.#tasks;
  }

  /** Answers a `cron_…` frame, if it has all that the real one wants; who sent it hears `crons_updated`. */
  handle(outlet: Outlet, frame: Json): void {
    if (text(frame.request_id) === undefined) return;
    const type = String(frame.type);
    const handlers: Record<string, Handler> = {
      add: (asked) => this.#add(asked),
      list: (asked) => this.#list(asked),
      get: (asked) => this.#get(asked),
      update: (asked) => this.#update(asked),
      pause: (asked) => this.#setStatus(asked, 'paused'),
      resume: (asked) => this.#setStatus(asked, 'active'),
      trigger: (asked) => this.#trigger(asked),
      runs: (asked) => this.#listRuns(asked),
      delete: (asked) => this.#delete(asked),
      delete_all: (asked) => this.#deleteAll(asked),
    };
    const answer = handlers[type.slice('cron_'.length)]?.(frame);
    if (!answer) return;
    outlet.sendReply({ type: `${type}_response`, request_id: frame.request_id, ...answer.body });
    if (answer.changed) outlet.sendReply({ type: 'crons_updated', timestamp: Date.now(), ...answer.changed });
  }

  /** Fires what is due at `now`, as the check that the real one makes every 60 s. */
  tick(now: number): void {
    const at = Math.floor(now / 60_000);
    if (at !== this.#minute.at) this.#minute = { at, fired: new Set() };
    for (const task of this.#tasks) {
      if (task.status !== 'active' || this.#minute.fired.has(task.id)) continue;
      const once = task.recurring ? null : Date.parse(task.scheduled_for ?? '');
      if (once !== null && now > once + MISSED_AFTER_MS) {
        Object.assign(task, { status: 'missed', missed_at: new Date(now).toISOString(), last_run_outcome: 'missed' });
        task.missed_count += 1;
        continue;
      }
      const isDue = once === null ? readRule(task.cron)?.matches(wallClock(now, task.timezone)) : once <= now;
      if (!isDue) continue;
      this.#minute.fired.add(task.id);
      this.#fire(task, now, false);
    }
  }

  #fire(task: Task, now: number, manual: boolean): void {
    const { agent_id, name, timezone, recurring } = task;
    const isNew = task.conversation_id === 'new';
    const conversation = isNew
      ? this.#agents.createConversation(agent_id, name)
      : this.#agents.openConversation({ agent_id, conversation_id: task.conversation_id });
    if (!conversation) return;
    const { conversation_id } = conversation.runtime;
    const intended = recurring ? Math.floor(now / 60_000) * 60_000 : Date.parse(task.scheduled_for ?? '');
    const fire = task.fire_count + 1;
    const words = (description: string) =>
      [
        `Scheduled task "${name}" is firing.`,
        ...(description === '' ? [] : [`Description: ${description}`]),
        `Timezone: ${timezone}`,
        `Scheduled for: ${zonedIso(intended, timezone)}`,
        `Current time: ${zonedIso(now, timezone)}`,
        recurring ? `This is fire #${fire} (cron: ${task.cron}).` : 'This is a one-off scheduled task.',
        '',
        NOTICE,
        '',
        `Prompt: ${task.prompt}`,
      ].join('\n');
    const at = new Date(now).toISOString();
    task.fire_count = fire;
    Object.assign(task, { last_fired_at: at, last_run_at: at, last_run_outcome: 'queued' });
    task.last_run_reason = recurring ? 'scheduled_time_matched' : 'one_off_due';
    if (!recurring && !manual) Object.assign(task, { status: 'fired', fired_at: at });
    const updated = { timestamp: Date.now(), agent_id, conversation_id };
    conversation.emitEvent('crons_updated', updated);
    // The queue shows the description, the turn's own message does not (seen 80).
    const queueItemId = conversation.queueCron(words(task.description), words(''));
    this.#runs.unshift({
      ts: Date.now(),
      jobId: task.id,
      action: 'finished',
      status: 'ok',
      outcome: 'queued',
      reason: task.last_run_reason,
      agentId: agent_id,
      conversationId: conversation_id,
      runAtMs: now,
      queueItemId,
      scheduledFor: task.scheduled_for,
      firedAt: at,
    });
    this.#runs = this.#runs.slice(0, MOST_RUNS);
  }

  #find(frame: Json): Task | undefined {
    return this.#tasks.find(({ id }) => id === frame.task_id);
  }

  #add(frame: Json): Answer | null {
    const { agent_id, name, description, cron, recurring, prompt } = frame;
    if (![agent_id, name, description, cron, prompt].every((value) => typeof value === 'string')) return null;
    if (typeof recurring !== 'boolean') return null;
    const once = text(frame.scheduled_for);
    if (once !== undefined && Number.isNaN(Date.parse(once))) return refuse('Invalid scheduled_for timestamp');
    const kept = this.#tasks.filter((task) => task.agent_id === agent_id && isLive(task)).length;
    if (kept >= MOST_OF_AGENT) {
      return refuse(
        `Agent ${agent_id} has ${kept} active or paused tasks (max ${MOST_OF_AGENT}). Delete some before adding more.`,
      );
    }
    if (!readRule(String(cron))) return refuse(invalid(String(cron)));
    const task: Task = {
      id: randomBytes(4).toString('hex'),
      agent_id: String(agent_id),
      conversation_id: text(frame.conversation_id) ?? 'new',
      name: String(name),
      description: String(description),
      cron: String(cron),
      timezone: text(frame.timezone) ?? 'UTC',
      recurring,
      prompt: String(prompt),
      status: 'active',
      created_at: new Date().toISOString(),
      expires_at: null,
      last_fired_at: null,
      fire_count: 0,
      cancel_reason: null,
      jitter_offset_ms: 0,
      last_run_at: null,
      last_run_outcome: null,
      last_run_reason: null,
      last_run_error: null,
      last_missed_at: null,
      missed_count: 0,
      failed_count: 0,
      scheduled_for: once === undefined ? null : new Date(once).toISOString(),
      fired_at: null,
      missed_at: null,
    };
    this.#tasks.push(task);
    return { body: { success: true, task: { ...task } }, changed: scopeOf(task) };
  }

  #list(frame: Json): Answer {
    const { agent_id: agent, conversation_id: conversation } = frame;
    const tasks = this.#tasks.filter(
      (task) =>
        (agent === undefined || task.agent_id === agent) &&
        (conversation === undefined || task.conversation_id === conversation),
    );
    return { body: { tasks: tasks.map((task) => ({ ...task })), success: true } };
  }

  #get(frame: Json): Answer {
    const task = this.#find(frame);
    return { body: { success: true, found: task !== undefined, task: task ? { ...task } : null } };
  }

  #update(frame: Json): Answer {
    const task = this.#find(frame);
    if (!task) return refuse('Cron task not found');
    const { cron, scheduled_for: once } = frame;
    if (typeof cron === 'string' && !readRule(cron)) return refuse(invalid(cron));
    if (typeof once === 'string' && Number.isNaN(Date.parse(once))) return refuse('Invalid scheduled_for timestamp');
    for (const field of CHANGEABLE) if (frame[field] !== undefined) Object.assign(task, { [field]: frame[field] });
    return { body: { success: true, task: { ...task } }, changed: scopeOf(task) };
  }

  #setStatus(frame: Json, status: 'paused' | 'active'): Answer {
    const task = this.#find(frame);
    if (!task) return { body: { success: false, found: false, error: 'Schedule not found' } };
    const done = (body: Json): Answer => ({ body: { ...body, task: { ...task } }, changed: scopeOf(task) });
    if (!isLive(task)) {
      const error = `Completed schedules cannot be ${status === 'paused' ? 'paused' : 'resumed'}`;
      return { body: { success: false, found: true, task: { ...task }, error } };
    }
    const isOverdue = !task.recurring && Date.parse(task.scheduled_for ?? '') <= Date.now();
    if (status === 'active' && task.status === 'paused' && isOverdue) {
      const error = 'An overdue one-off schedule requires a new future scheduled_for timestamp';
      return { body: { success: false, found: true, task: { ...task }, error } };
    }
    task.status = status;
    return done({ success: true, found: true });
  }

  #trigger(frame: Json): Answer {
    const task = this.#find(frame);
    if (!task) return { body: { success: false, found: false, error: 'Schedule not found' } };
    if (!isLive(task)) {
      return {
        body: { success: false, found: true, task: { ...task }, error: 'Completed schedules cannot run again' },
      };
    }
    this.#fire(task, Date.now(), true);
    return { body: { success: true, found: true, task: { ...task } } };
  }

  #listRuns(frame: Json): Answer {
    const limit = typeof frame.limit === 'number' ? frame.limit : 50;
    const offset = typeof frame.offset === 'number' ? frame.offset : 0;
    const all = this.#runs.filter((run) => run.jobId === frame.task_id);
    const entries = all.slice(offset, offset + limit);
    const hasMore = offset + limit < all.length;
    const page = { entries, total: all.length, offset, limit, hasMore, nextOffset: hasMore ? offset + limit : null };
    return { body: { success: true, page } };
  }

  #delete(frame: Json): Answer {
    const task = this.#find(frame);
    this.#tasks = this.#tasks.filter((each) => each !== task);
    return { body: { success: true, found: task !== undefined }, changed: task && scopeOf(task) };
  }

  #deleteAll(frame: Json): Answer {
    const { agent_id } = frame;
    const before = this.#tasks.length;
    this.#tasks = this.#tasks.filter((task) => task.agent_id !== agent_id);
    const deleted = before - this.#tasks.length;
    const body = { success: true, agent_id, deleted };
    return { body, changed: deleted > 0 ? { agent_id: String(agent_id) } : undefined };
  }
}

const COMMANDS: ReadonlySet<string> = new Set(
  'add list get update pause resume trigger runs delete delete_all'.split(' ').map((name) => `cron_${name}`),
);
const CHANGEABLE = [
  'name',
  'description',
  'conversation_id',
  'cron',
  'timezone',
  'recurring',
  'prompt',
  'scheduled_for',
] as const;

const isLive = ({ status }: Task) => status === 'active' || status === 'paused';
const scopeOf = ({ agent_id, conversation_id }: Task) => ({ agent_id, conversation_id });
const invalid = (cron: string) => `Invalid cron expression "${cron}". Schedule was not saved.`;
const refuse = (error: string): Answer => ({ body: { success: false, error } });
