import { BoundedMap } from '../../bounded-map.ts';
import { asBridgeError } from '../../errors.ts';
import type { Bindings } from '../access/bindings.ts';
import { can, type Place, type Verdict } from '../access/can.ts';
import { type PolicyBook, settingsOf } from '../access/policy.ts';
import type { ModelEntry, ModelName, ModelsSeen, StoredRuntime, ToolsetsSeen } from '../agent-event.ts';
import { type ModelsPlace, makeModelsPlace } from '../ids.ts';
import { type ModelChoice, type ModelOutcome, type Refused, refused, type ThreadAddress } from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Clock, Log, Models, Surface, Threads } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import {
  chosenIn,
  findEntry,
  findModel,
  type ModelDialog,
  type ModelScope,
  menuKey,
  modelMenu,
  OWN_MODEL,
} from '../view/model-dialog.ts';
import { bindingText } from '../words/bindings.ts';
import { MODELS, modelListText, modelNowText, TOOLSETS, whichEffortText } from '../words/models.ts';
import { readModelWish } from './model-wish.ts';

export interface ModelDeskParts {
  models: Models;
  threads: Pick<Threads, 'load'>;
  workers: ThreadWorkers;
  policies: PolicyBook;
  bindings: Bindings;
  surface: Pick<Surface, 'whisper'>;
  clock: Pick<Clock, 'now'>;
  log: Log;
}

/** Who asks about models, and where; the door has let them in. */
export interface ModelsAsked {
  about: ModelsPlace;
  place: Place;
  person: Person;
}

/** How many ask Letta at a time. */
const AT_ONCE = 20;
/** How many lists are kept for dialogs that are open, and how long. */
const LISTS = 50;
const LIST_MS = 10 * 60_000;

/** What is known of the place before Letta is asked. */
interface Known extends ModelsAsked {
  record: ThreadRecord | null;
  scopes: readonly ModelScope[];
  /** Why there is no scope. */
  refusal: Verdict;
}

/**
 * Shows and changes models and toolsets, of a thread's conversation or for the new conversations of a channel, by command
 * and by dialog. Nothing in Slack waits for Letta: what comes of it is told when it is known, and a crash in between leaves
 * what Letta stored, with nothing said.
 */
export class ModelDesk {
  readonly #parts: ModelDeskParts;
  readonly #asking = new Set<string>();
  readonly #lists = new BoundedMap<string, { seen: ModelsSeen; at: number }>(LISTS);

  constructor(parts: ModelDeskParts) {
    this.#parts = parts;
  }

  /** `!model`. @returns a line for the person; empty: the answer comes later */
  async command(asked: ModelsAsked, args: string): Promise<string> {
    const known = await this.#look(asked);
    if (asked.about.thread !== null && !known.record?.runtime) return MODELS.noConversation;
    return this.#later(known, () => this.#answer(known, args));
  }

  /** The button below a reply that opens the dialog; `null`: this person may choose nothing there. */
  async button(asked: ModelsAsked): Promise<ModelsPlace | null> {
    return (await this.#look(asked)).scopes.length > 0 ? asked.about : null;
  }

  /** @param key the model that is chosen in the open dialog; `null`: the dialog opens */
  async dialog(asked: ModelsAsked, key: string | null): Promise<ModelOutcome> {
    const known = await this.#look(asked);
    const no = refusalOf(known);
    if (no) return no;
    try {
      const seen = (key !== null && this.#listed(known.about)) || (await this.#list(known));
      if (seen.entries.length === 0) return refused('expired', MODELS.none);
      return { result: 'modal', modal: { kind: 'models', dialog: this.#dialogOf(known, seen, key) } };
    } catch (error) {
      return refused('unreachable', asBridgeError(error).notice);
    }
  }

  /** What was submitted. Whether it is complete is said at once, what Letta makes of it later. */
  async choose(asked: ModelsAsked, choice: ModelChoice): Promise<ModelOutcome> {
    const known = await this.#look(asked);
    const no = refusalOf(known);
    if (no) return no;
    const scope = choice.scope ?? known.scopes[0] ?? null;
    if (scope === null || !known.scopes.includes(scope)) return refused('not_allowed', MODELS.notThere);
    if (choice.model === OWN_MODEL && scope === 'conversation') return invalid('model', MODELS.pickOne);
    const seen = this.#listed(known.about);
    const group = seen && choice.model !== OWN_MODEL ? findModel(seen.entries, choice.model) : null;
    if (seen && choice.model !== OWN_MODEL && !group) return invalid('model', MODELS.vanished);
    const needsEffort =
      group && group.efforts.length > 0 && !group.efforts.some((each) => menuKey(each) === choice.effort);
    if (needsEffort) return invalid('effort', MODELS.pickEffort);
    const said = this.#later(known, () => this.#apply(known, { ...choice, scope }));
    return said === '' ? { result: 'decided' } : refused('unreachable', said);
  }

  // ---- who may -----------------------------------------------------------------------------------

  async #look(asked: ModelsAsked): Promise<Known> {
    const { threads, policies } = this.#parts;
    const { person, place, about } = asked;
    const record = about.thread === null ? null : await threads.load(about.thread);
    const mayBind = can(policies.current(), person, { do: 'administer' }, place);
    const mayChoose = record?.runtime ? this.#mayChoose(person, place, record) : null;
    const scopes: ModelScope[] = [
      ...(mayChoose?.allowed ? (['conversation'] as const) : []),
      ...(mayBind.allowed ? (['channel'] as const) : []),
    ];
    return { ...asked, record, scopes, refusal: mayChoose ?? mayBind };
  }

  #mayChoose(person: Person, place: Place, { runtime, starter }: ThreadRecord): Verdict {
    // The conversation `default` has the agent's own model, which all others use.
    const whose = runtime?.conversationId === 'default' ? null : starter;
    return can(this.#parts.policies.current(), person, { do: 'choose_model', starter: whose }, place);
  }

  // ---- asking Letta ------------------------------------------------------------------------------

  /** Tells the person what comes of the work. @returns a line for them instead; empty: it comes later */
  #later({ about, place, person, record }: Known, work: () => Promise<string>): string {
    const name = makeModelsPlace(about);
    if (this.#asking.has(name) || this.#asking.size >= AT_ONCE) return MODELS.busy;
    this.#asking.add(name);
    const { surface, log } = this.#parts;
    const kind = place.channelKind === 'mpim' ? { kind: 'mpim' as const } : {};
    const address: ThreadAddress = record?.address ?? {
      team: about.team,
      channel: about.channel,
      threadTs: null,
      ...kind,
    };
    const tell = async () => {
      try {
        const said = await work();
        if (said === '') return;
        const models = await this.button({ about, place, person });
        await surface.whisper(address, person.id, said, models ? { models } : undefined);
      } catch (error) {
        log.warn({ err: error }, 'could not tell the answer about models');
      } finally {
        this.#asking.delete(name);
      }
    };
    void tell();
    return '';
  }

  async #list({ about, place, record }: Known): Promise<ModelsSeen> {
    const { models, policies, clock } = this.#parts;
    const { binding } = settingsOf(policies.current(), place);
    const seen = record?.runtime ? await this.#seenBy(record.runtime) : await models.listFor(binding);
    this.#lists.set(makeModelsPlace(about), { seen, at: clock.now() });
    return seen;
  }

  async #seenBy(runtime: StoredRuntime): Promise<ModelsSeen> {
    let seen: ModelsSeen = { entries: [], current: null };
    await this.#parts.models.choose(runtime, (now) => {
      seen = now;
      return null;
    });
    return seen;
  }

  #listed(about: ModelsPlace): ModelsSeen | null {
    const kept = this.#lists.get(makeModelsPlace(about));
    return kept && this.#parts.clock.now() - kept.at < LIST_MS ? kept.seen : null;
  }

  // ---- the dialog --------------------------------------------------------------------------------

  #dialogOf(known: Known, seen: ModelsSeen, key: string | null): ModelDialog {
    const { about, place, scopes } = known;
    const { binding } = settingsOf(this.#parts.policies.current(), place);
    const bound = binding?.model ?? null;
    const used = scopes.includes('conversation') ? seen.current : bound && { ...bound, contextWindow: null };
    const chosen = key === OWN_MODEL ? null : chosenIn({ ...seen, current: used }, key);
    return {
      place: makeModelsPlace(about),
      // Plain text: Slack would show the marks of code.
      now: modelNowText(
        scopes.includes('conversation') ? seen.current : null,
        scopes.includes('channel'),
        bound,
      ).replaceAll('`', ''),
      ...modelMenu(seen.entries, used?.handle ?? null),
      chosen,
      toolsets: this.#toolsets(known),
      scopes,
    };
  }

  /** What is chosen now is known only while the thread is connected; which there are is Letta's own list. */
  #toolsets({ about, place, scopes }: Known): ToolsetsSeen {
    const { workers, policies } = this.#parts;
    const seen = about.thread === null ? null : workers.toolsetsOf(about.thread);
    const bound = settingsOf(policies.current(), place).binding?.toolset ?? 'auto';
    if (!scopes.includes('conversation')) return { chosen: bound, options: seen?.options ?? TOOLSETS };
    return seen ?? { chosen: '', options: TOOLSETS };
  }

  // ---- what Letta makes of it --------------------------------------------------------------------

  async #answer(known: Known, args: string): Promise<string> {
    const { record, scopes, refusal } = known;
    const { runtime } = record ?? {};
    if (!runtime) return this.#answerForChannel(known, args);
    let instead: string = MODELS.nothingTaken;
    return this.#take(known, runtime, (seen) => {
      const wish = readModelWish(args, seen);
      if (wish.kind === 'show') {
        const list = modelListText(wish.groups, wish.filter, '!model');
        instead = [modelNowText(seen.current, false, null), ...list].join('\n');
      } else if (!scopes.includes('conversation')) instead = refusal.allowed ? MODELS.notThere : refusal.notice;
      else if (wish.kind === 'effort') instead = whichEffortText(wish.group.handle, wish.group.efforts, '!model');
      return scopes.includes('conversation') && wish.kind === 'take' ? wish.entry : instead;
    });
  }

  /** Words of `/agent model` in a channel. */
  async #answerForChannel(known: Known, args: string): Promise<string> {
    const { scopes, refusal, place } = known;
    const bound = settingsOf(this.#parts.policies.current(), place).binding?.model ?? null;
    const now = modelNowText(null, true, bound);
    const isQuestion = args.trim() === '';
    if (!scopes.includes('channel')) return isQuestion || refusal.allowed ? now : refusal.notice;
    if (args.trim().toLowerCase() === 'default') return this.#bind(known, { model: undefined });
    try {
      const wish = readModelWish(args, await this.#list(known));
      if (wish.kind === 'take') return this.#bind(known, { model: nameOf(wish.entry) });
      if (wish.kind === 'effort') return whichEffortText(wish.group.handle, wish.group.efforts, '/agent model');
      return [now, ...modelListText(wish.groups, wish.filter, '/agent model')].join('\n');
    } catch (error) {
      const { notice } = asBridgeError(error);
      return isQuestion ? `${now}\n${notice}` : notice;
    }
  }

  async #apply(known: Known, choice: ModelChoice & { scope: ModelScope }): Promise<string> {
    return choice.scope === 'channel' ? this.#applyToChannel(known, choice) : this.#applyToConversation(known, choice);
  }

  async #applyToConversation(known: Known, { model, effort, toolset }: ModelChoice): Promise<string> {
    const { runtime } = known.record ?? {};
    if (!runtime) return MODELS.noConversation;
    const said = await this.#take(known, runtime, ({ entries, current }) => {
      const entry = pickEntry(entries, model, effort);
      if (!entry) return MODELS.vanished;
      return entry.handle === current?.handle && entry.effort === current.effort ? MODELS.same : entry;
    });
    const { chosen, options } = this.#toolsets(known);
    const wanted = options.find(({ id }) => menuKey(id) === toolset);
    if (!wanted || wanted.id === chosen) return said;
    const told = await this.#takeToolset(known, runtime, wanted);
    return [...(said === MODELS.same ? [] : [said]), told].filter((line) => line !== '').join('\n');
  }

  async #applyToChannel(known: Known, { model, effort, toolset }: ModelChoice): Promise<string> {
    try {
      const { entries } = await this.#list(known);
      const entry = model === OWN_MODEL ? null : pickEntry(entries, model, effort);
      if (model !== OWN_MODEL && !entry) return MODELS.vanished;
      const { options } = this.#toolsets(known);
      const tools = options.find(({ id }) => menuKey(id) === toolset);
      return await this.#bind(known, {
        model: entry ? nameOf(entry) : undefined,
        ...(tools && { toolset: tools.id === 'auto' ? undefined : tools.id }),
      });
    } catch (error) {
      return asBridgeError(error).notice;
    }
  }

  async #bind(
    { place, person, record }: Known,
    change: { model?: ModelName | undefined; toolset?: string | undefined },
  ): Promise<string> {
    const { bindings, policies } = this.#parts;
    // Asked again, because Letta was asked meanwhile.
    const verdict = can(policies.current(), person, { do: 'administer' }, place);
    if (!verdict.allowed) return verdict.notice;
    await bindings.bindChannel(place, change);
    const text = bindingText(settingsOf(policies.current(), place));
    return record?.runtime ? `${text} ${MODELS.newOnly}` : text;
  }

  /** Has Letta take the entry that `pick` gives, or says its words instead; rights are judged again before. */
  async #take(
    { about, place, person, record }: Known,
    runtime: StoredRuntime,
    pick: (seen: ModelsSeen) => ModelEntry | string,
  ): Promise<string> {
    const { models, workers } = this.#parts;
    let instead: string = MODELS.nothingTaken;
    try {
      const change = await models.choose(runtime, (seen) => {
        const picked = pick(seen);
        if (typeof picked === 'string') {
          instead = picked;
          return null;
        }
        const verdict = record && this.#mayChoose(person, place, record);
        if (verdict?.allowed) return picked;
        instead = verdict ? verdict.notice : MODELS.nothingTaken;
        return null;
      });
      if (!change || about.thread === null) return instead;
      return await workers.get(about.thread).command({ name: 'model_changed', by: person, runtime, ...change });
    } catch (error) {
      return unsureOf(error);
    }
  }

  async #takeToolset(
    { about, place, person, record }: Known,
    runtime: StoredRuntime,
    { id, name: label }: { id: string; name: string },
  ): Promise<string> {
    const { models, workers } = this.#parts;
    const verdict = record && this.#mayChoose(person, place, record);
    if (!verdict || about.thread === null) return MODELS.nothingTaken;
    if (!verdict.allowed) return verdict.notice;
    try {
      const { current } = await models.chooseToolset(runtime, id);
      const change = { name: 'toolset_changed' as const, by: person, runtime, label, current };
      return await workers.get(about.thread).command(change);
    } catch (error) {
      return unsureOf(error);
    }
  }
}

function refusalOf({ scopes, refusal }: Known): Refused | null {
  if (scopes.length > 0) return null;
  return refused('not_allowed', refusal.allowed ? MODELS.notThere : refusal.notice);
}

function invalid(field: 'model' | 'effort', text: string): ModelOutcome {
  return { result: 'invalid', field, text };
}

function pickEntry(entries: readonly ModelEntry[], key: string, effort: string | null): ModelEntry | null {
  const group = findModel(entries, key);
  if (!group) return null;
  const named = group.efforts.find((each) => menuKey(each) === effort) ?? null;
  if (group.efforts.length > 0 && named === null) return null;
  return findEntry(entries, { handle: group.handle, effort: named });
}

const nameOf = ({ handle, effort }: ModelEntry): ModelName => ({ handle, effort });

function unsureOf(error: unknown): string {
  const { certain, notice } = asBridgeError(error);
  return certain ? notice : `${notice} ${MODELS.unsure}`;
}
