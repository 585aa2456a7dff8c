import { asBridgeError } from '../../errors.ts';
import { can, type Place } from '../access/can.ts';
import type { PolicyBook } from '../access/policy.ts';
import type { ModelEntry } from '../agent-event.ts';
import type { ThreadKey } from '../ids.ts';
import type { Person } from '../person.ts';
import type { Log, Models, Surface, Threads } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { currentModelText, MODELS, modelListText, whichEffortText } from '../words/models.ts';
import { readModelWish } from './model-wish.ts';

interface ModelDeskParts {
  models: Models;
  threads: Pick<Threads, 'load'>;
  workers: ThreadWorkers;
  policies: PolicyBook;
  surface: Pick<Surface, 'whisper'>;
  log: Log;
}

interface Asked {
  thread: ThreadKey;
  person: Person;
  place: Place;
  args: string;
}

/** How many threads ask Letta at a time. */
const AT_ONCE = 20;

/**
 * `!model`: shows and changes the model of a thread's conversation. Nothing waits for Letta: what comes of it is told when it
 * is known, and a crash in between leaves what Letta stored, with nothing said.
 */
export class ModelDesk {
  readonly #parts: ModelDeskParts;
  readonly #asking = new Set<ThreadKey>();

  constructor(parts: ModelDeskParts) {
    this.#parts = parts;
  }

  /** @returns a line for the person; empty: the answer comes later */
  async ask(asked: Asked): Promise<string> {
    const record = await this.#parts.threads.load(asked.thread);
    if (!record?.runtime) return MODELS.noConversation;
    if (this.#asking.has(asked.thread) || this.#asking.size >= AT_ONCE) return MODELS.busy;
    this.#asking.add(asked.thread);
    void this.#tell(asked, record).finally(() => this.#asking.delete(asked.thread));
    return '';
  }

  async #tell(asked: Asked, record: ThreadRecord): Promise<void> {
    const { surface, log } = this.#parts;
    try {
      const said = await this.#answer(asked, record);
      if (said !== '') await surface.whisper(record.address, asked.person.id, said);
    } catch (error) {
      log.warn({ err: error }, 'could not tell the answer about models');
    }
  }

  async #answer({ thread, person, place, args }: Asked, { runtime, starter }: ThreadRecord): Promise<string> {
    const { models, policies, workers } = this.#parts;
    if (!runtime) return MODELS.noConversation;
    // The conversation `default` has the agent's own model, which all others use.
    const whose = runtime.conversationId === 'default' ? null : starter;
    const mayChoose = () => can(policies.current(), person, { do: 'choose_model', starter: whose }, place);
    let instead: string = MODELS.nothingTaken;
    const pick = (seen: Parameters<Parameters<Models['choose']>[1]>[0]): ModelEntry | null => {
      const wish = readModelWish(args, seen);
      if (wish.kind === 'show') {
        instead = [currentModelText(seen.current), ...modelListText(wish.groups, wish.filter)].join('\n');
        return null;
      }
      const verdict = mayChoose();
      if (!verdict.allowed) instead = verdict.notice;
      else if (wish.kind === 'effort') instead = whichEffortText(wish.group.handle, wish.group.efforts);
      return verdict.allowed && wish.kind === 'take' ? wish.entry : null;
    };
    try {
      const change = await models.choose(runtime, pick);
      if (!change) return instead;
      return await workers.get(thread).command({ name: 'model_changed', by: person, runtime, ...change });
    } catch (error) {
      const { certain, notice } = asBridgeError(error);
      return certain ? notice : `${notice} ${MODELS.unsure}`;
    }
  }
}
