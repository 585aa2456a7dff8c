import type { VirtualClock } from './clock.ts';
import type { SimDisk } from './disk.ts';
import type { TruthTurn } from './letta-turn.ts';
import type { Click } from './people.ts';
import type { Chance } from './random.ts';
import { BOT, type SimSlack, visibleText } from './slack.ts';
import { readRecord } from './stored-row.ts';
import type { Story } from './story.ts';

type Json = Record<string, unknown>;

interface Task extends Json {
  id: string;
  agent_id: string;
  conversation_id: string;
  name: string;
  prompt: string;
  status: 'active' | 'paused';
  fire_count: number;
  last_fired_at: string | null;
}

/** A schedule as somebody in the simulation ordered a change of it. */
export interface Order {
  id: string;
  by: string;
  change: 'pause' | 'resume' | 'run' | 'delete';
}

interface Answer {
  body: Json;
  changed?: Task | undefined;
}

/** Who owns schedules and writes nothing else: they may lose access. */
export const SCHEDULER = 'U5SAM';
/** The longest time after which all schedules are compared with Letta's, and a little more. */
export const COMPARED_MS = 65 * 60_000;
/** Each has its words at Letta and on its card: a name that occurs nowhere else. */
const NAMED = /sched\d+z/;

const idIn = (name: string) => /\(slack-(\w{8})\)$/.exec(name)?.[1] ?? null;

/** The ids of the bridge's schedules whose firing is the input. */
export function firedIn(content: string): string[] {
  return [...content.matchAll(/^Scheduled task ".*\(slack-(\w{8})\)" is firing\.$/gm)].map(([, id = '']) => id);
}

/** Letta's scheduler, a file that outlives its process; firing is by chance (docs/letta-protocol.md, Schedules). */
export class SimSchedules {
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #story: Story;
  /** Whether anybody in this world schedules anything. */
  isUsed: boolean;
  /** Chance that an answer is lost after the deed. */
  lost: number;
  tasks: Task[] = [];
  /** Every firing that reached its conversation's queue, the latest last. */
  readonly fired: { id: string; at: number }[] = [];
  /** Ids of the bridge of all that was ever made. */
  readonly made = new Set<string>();
  readonly orders: Order[] = [];
  /** Who owns schedules and may not use the agent any more. */
  readonly withoutAccess = new Set<string>();
  #added = 0;
  queueAt: (conversation: string, content: string) => boolean = () => false;
  clicks: () => readonly Click[] = () => [];

  constructor(clock: VirtualClock, chance: Chance, story: Story) {
    this.#clock = clock;
    this.#chance = chance;
    this.#story = story;
    this.isUsed = chance.happens(0.15);
    this.lost = chance.happens(0.6) ? chance.between(0.05, 0.3) : 0;
  }

  /** @returns the answer's fields; `null`: it is lost */
  handle(frame: Json): Answer | null {
    const answer = this.#handleCommand(frame);
    if (!this.#chance.happens(this.lost)) return answer;
    this.#story.addLine('letta', `its answer to ${String(frame.type)} is lost`);
    return null;
  }

  #handleCommand(frame: Json): Answer {
    const task = this.tasks.find(({ id }) => id === frame.task_id);
    const known = (body: Json = {}): Answer => ({ body: { success: true, found: true, task: { ...task }, ...body } });
    switch (frame.type) {
      case 'cron_list':
        return { body: { success: true, tasks: this.tasks.map((each) => ({ ...each })) } };
      case 'cron_add':
        return this.#add(frame);
      case 'cron_delete':
        this.tasks = this.tasks.filter((each) => each !== task);
        if (task) this.#story.addLine('letta', `deletes the schedule ${task.name}`);
        return { body: { success: true, found: task !== undefined }, changed: task };
      default:
        if (!task) return { body: { success: false, found: false, error: 'Schedule not found' } };
    }
    switch (frame.type) {
      case 'cron_update':
        for (const field of ['name', 'conversation_id', 'cron', 'timezone', 'prompt'])
          if (frame[field] !== undefined) Object.assign(task, { [field]: frame[field] });
        break;
      case 'cron_pause':
      case 'cron_resume':
        task.status = frame.type === 'cron_pause' ? 'paused' : 'active';
        this.#story.addLine('letta', `${task.name} is ${task.status}`);
        break;
      case 'cron_trigger':
        this.#fire(task);
        return known();
    }
    return { ...known(), changed: task };
  }

  #add({ agent_id, conversation_id, name, prompt, cron, timezone, recurring }: Json): Answer {
    this.#added += 1;
    const task: Task = {
      ...{ cron, timezone, recurring, scheduled_for: null },
      id: `task-${this.#added}`,
      agent_id: String(agent_id),
      conversation_id: String(conversation_id),
      name: String(name),
      prompt: String(prompt),
      status: 'active',
      fire_count: 0,
      last_fired_at: null,
    };
    this.tasks.push(task);
    const id = idIn(task.name);
    if (id !== null) this.made.add(id);
    this.#story.addLine('letta', `makes the schedule ${task.name} in ${task.conversation_id}`);
    const about = NAMED.exec(task.prompt)?.[0];
    const owner = /Scheduled in Slack by <@(\w+)>/.exec(task.prompt)?.[1];
    const isConfirmed = this.clicks().some(
      ({ action, schedule, user, result }) =>
        action === 'make_schedule' && schedule === about && user === owner && COUNTED.has(result),
    );
    if (!isConfirmed) this.#story.addViolation(`the schedule ${task.name} was made, and ${owner} confirmed none`);
    return { body: { success: true, task: { ...task } }, changed: task };
  }

  /** One of them is due. */
  fireSomething(): void {
    const active = this.tasks.filter(({ status }) => status === 'active');
    if (active.length > 0) this.#fire(this.#chance.pickOne(active));
  }

  #fire(task: Task): void {
    const at = this.#clock.now();
    const now = `${new Date(at).toISOString().slice(0, -1)}+00:00[UTC]`;
    const content = [
      `Scheduled task "${task.name}" is firing.`,
      'Timezone: UTC',
      `Scheduled for: ${now}`,
      `Current time: ${now}`,
      `This is fire #${task.fire_count + 1} (cron: ${String(task.cron)}).`,
      '',
      'You are running autonomously: no user is watching this turn.',
      '',
      `Prompt: ${task.prompt}`,
    ].join('\n');
    if (!this.queueAt(task.conversation_id, content)) return;
    task.fire_count += 1;
    task.last_fired_at = new Date(at).toISOString();
    this.#story.addLine('letta', `the schedule ${task.name} fires`);
    const id = idIn(task.name);
    if (id !== null) this.fired.push({ id, at });
  }
}

/** Results of clicks that counted, or that got no answer and may have counted. */
const COUNTED: ReadonlySet<string> = new Set(['decided', 'given', 'failed']);

/** A schedule in a thread's record. */
export interface Kept {
  id: string;
  owner: string;
  channel: string;
  root: string | null;
  wanted: string;
  confirmed: string | null;
}

export function keptSchedules(disk: SimDisk): Kept[] {
  return [...disk.rowsOf('threads').values()].flatMap((row) => {
    const { schedules = [], address } = readRecord(row).record;
    const { channel, threadTs: root } = address;
    return schedules.map(({ id, owner, wanted, confirmed }) => ({ id, owner, wanted, confirmed, channel, root }));
  });
}

interface Judged {
  readonly story: Story;
  readonly slack: SimSlack;
  readonly disk: SimDisk;
  readonly schedules: SimSchedules;
  readonly letta: { readonly truth: readonly TruthTurn[] };
  readonly isSlackReliable: boolean;
}

/** What must hold of schedules once nothing is under way, and before the last ones are deleted. */
export function judgeSchedules(world: Judged): void {
  judgeTasks(world);
  judgeFirings(world);
}

/** What is at Letta is what people confirmed, once each. */
function judgeTasks({ disk, schedules, slack, story, isSlackReliable }: Judged): void {
  const kept = keptSchedules(disk);
  for (const { name } of schedules.tasks) {
    const id = idIn(name);
    if (!kept.some((each) => each.id === id && each.wanted !== 'gone'))
      story.addViolation(`the schedule ${name} is at Letta, and no thread has it`);
  }
  for (const { id, owner, wanted, channel } of kept) {
    const tasks = schedules.tasks.filter(({ name }) => idIn(name) === id);
    if (tasks.length !== 1) story.addViolation(`the schedule ${id} is ${tasks.length} tasks at Letta`);
    for (const { status } of tasks)
      if (status !== wanted) story.addViolation(`the schedule ${id} is to be ${wanted}, and is ${status} at Letta`);
    if (!schedules.withoutAccess.has(owner)) continue;
    if (wanted === 'active') story.addViolation(`the schedule ${id} goes on, though ${owner} has lost access`);
    const isTold = slack.messages.some(
      (message) =>
        message.user === BOT &&
        message.channel === channel &&
        visibleText(message).includes('they may no longer use the agent here'),
    );
    const wasPaused = schedules.orders.some((order) => order.id === id && order.change === 'pause');
    if (!isTold && !wasPaused && isSlackReliable)
      story.addViolation(`the schedule ${id} was paused, and nobody was told`);
  }
  const mayDelete = (id: string) => schedules.orders.some((order) => order.id === id && order.change === 'delete');
  for (const id of schedules.made) {
    if (!kept.some((each) => each.id === id) && !mayDelete(id))
      story.addViolation(`the schedule ${id} is gone, and nobody who may deleted it`);
  }
}

const STOPPED = `Stopped by <@${BOT}>`;

/** Each firing is shown once; of several that nobody heard the last one is. */
function judgeFirings({ letta, schedules, slack, story }: Judged): void {
  const ours = slack.messages.filter(({ user, onlyFor }) => user === BOT && onlyFor === null);
  const heads = new Set(
    ours.flatMap((message) => {
      const turn = message.metadata?.turn ?? '';
      return turn.startsWith('turn-') && visibleText(message).includes('Schedule of <@') ? [turn] : [];
    }),
  );
  const began = letta.truth.flatMap(({ firings = [] }) => firings).length;
  if (heads.size > began) story.addViolation(`${heads.size} turns of schedules are shown, ${began} began`);
  const text = ours.map(visibleText).join('\n');
  for (const [at, turn] of letta.truth.entries()) {
    const { firings = [], n, end, pieces } = turn;
    const isSaid = pieces.some((piece) => !piece.void && piece.words.length > 0);
    if (firings.length === 0 || end !== 'end_turn' || !isSaid || text.includes(`t${n}w`)) continue;
    const isSuperseded = firings.some((id) => letta.truth.slice(at + 1).some((later) => later.firings?.includes(id)));
    const isDeleted = firings.some((id) =>
      schedules.orders.some((order) => order.id === id && order.change === 'delete'),
    );
    // The bridge stops what a schedule does whose owner lost access, also when Letta is done already.
    const isCutOff = ours.map(visibleText).some((each) => each.includes('Schedule of <@') && each.includes(STOPPED));
    if (!isSuperseded && !isDeleted && !isCutOff)
      story.addViolation(`turn ${n} of the schedule ${firings} is not shown`);
  }
}
