import { BoundedMap } from '../../bounded-map.ts';
import type { ModelName } from '../agent-event.ts';
import type { ChannelId } from '../ids.ts';
import type { Choices, Log } from '../ports.ts';
import type { Place } from './can.ts';
import {
  type Binding,
  type Permissions,
  type PlaceSettings,
  type Policy,
  type PolicyBook,
  settingsOf,
} from './policy.ts';

/** What admins set for a channel by command; for the fields that are left out, the policy counts. */
export interface Bound {
  permissions?: Permissions;
  agentId?: string;
  device?: string;
  workingDirectory?: string;
  /** Of new conversations. */
  model?: ModelName;
  toolset?: string;
  /** Set for a group direct message, whose other settings are those of `group_dm` and `dm`. */
  kind?: 'mpim';
}

type BoundPlace = Pick<Place, 'channel' | 'channelKind'>;
/** `undefined` takes back what was set. */
type Change = { [Name in Exclude<keyof Bound, 'kind'>]?: Bound[Name] | undefined };

/** Under this name the store keeps what channels are bound to. */
export const BINDINGS = 'bindings';
/** How many channels can be bound; the one that was bound first is forgotten when there are more. */
const CHANNELS_KEPT = 500;
const PERMISSIONS: ReadonlySet<string> = new Set<Permissions>(['guarded', 'standard', 'acceptEdits', 'strict']);

/**
 * The policy, merged with the bindings that admins made by command, which are stored. A binding changes only the agent,
 * device, directory, model, toolset and permissions of a channel, until an admin takes it back.
 */
export class Bindings implements PolicyBook {
  readonly #policies: PolicyBook;
  readonly #choices: Choices;
  readonly #log: Log;
  #bound: ReadonlyMap<ChannelId, Bound> = new Map();
  #merged: { base: Policy; policy: Policy } | null = null;

  constructor({ policies, choices, log }: { policies: PolicyBook; choices: Choices; log: Log }) {
    this.#policies = policies;
    this.#choices = choices;
    this.#log = log;
  }

  /** Call it before threads are resumed and messages accepted. Rejects when the disk fails. */
  async load(): Promise<void> {
    this.#bound = readBindings(await this.#choices.get(BINDINGS));
    this.#merged = null;
  }

  current(): Policy {
    const base = this.#policies.current();
    if (this.#merged?.base !== base) this.#merged = { base, policy: this.#merge(base) };
    return this.#merged.policy;
  }

  getBound(channel: ChannelId): Bound {
    return this.#bound.get(channel) ?? {};
  }

  /** Takes effect, and resolves, once it is on disk. @param change `undefined` takes back what was set */
  async bindChannel({ channel, channelKind }: BoundPlace, change: Change): Promise<void> {
    const next = new BoundedMap(CHANNELS_KEPT, this.#bound);
    const bound: Bound = {};
    for (const [name, value] of Object.entries({ ...this.getBound(channel), ...change })) {
      if (value !== undefined) Object.assign(bound, { [name]: value });
    }
    next.delete(channel);
    delete bound.kind;
    if (Object.keys(bound).length > 0) {
      next.set(channel, { ...bound, ...(channelKind === 'mpim' && { kind: channelKind }) });
    }
    await this.#choices.set(BINDINGS, JSON.stringify([...next]));
    this.#bound = next;
    this.#merged = null;
    this.#log.info({ channel, ...bound }, 'channel binding changed');
  }

  #merge(base: Policy): Policy {
    if (this.#bound.size === 0) return base;
    const places = new Map(base.places);
    for (const [channel, bound] of this.#bound) {
      const { binding } = settingsOf(base, { channel, channelKind: bound.kind ?? 'channel' });
      places.set(channel, { ...places.get(channel), ...settingsWith(bound, binding) });
    }
    return { ...base, places };
  }
}

function settingsWith(bound: Bound, base: Binding | null): Partial<PlaceSettings> {
  const { permissions, agentId, device, workingDirectory, model, toolset } = bound;
  const binding: Binding = { ...(base ?? { agentId: null, device: null, workingDirectory: null }) };
  if (agentId !== undefined) binding.agentId = agentId;
  if (device !== undefined) binding.device = device;
  if (workingDirectory !== undefined) binding.workingDirectory = workingDirectory;
  if (model !== undefined) binding.model = model;
  if (toolset !== undefined) binding.toolset = toolset;
  return { ...(permissions !== undefined && { permissions }), binding };
}

/** The stored bindings by channel, without entries that do not parse: another version, or a person, wrote them. */
export function readBindings(stored: string | null): Map<ChannelId, Bound> {
  const bound = new Map<ChannelId, Bound>();
  for (const entry of parseList(stored ?? '[]')) {
    const [channel, fields] = Array.isArray(entry) ? entry : [];
    if (typeof channel !== 'string' || typeof fields !== 'object' || fields === null) continue;
    const { permissions, kind, model, ...texts } = fields as Record<string, unknown>;
    const one: Bound = {};
    if (typeof permissions === 'string' && PERMISSIONS.has(permissions)) one.permissions = permissions as Permissions;
    if (kind === 'mpim') one.kind = kind;
    if (isModelName(model)) one.model = { handle: model.handle, effort: model.effort };
    for (const name of ['agentId', 'device', 'workingDirectory', 'toolset'] as const) {
      const value = texts[name];
      if (typeof value === 'string' && value !== '') one[name] = value;
    }
    bound.set(channel, one);
  }
  return bound;
}

function isModelName(value: unknown): value is ModelName {
  if (typeof value !== 'object' || value === null) return false;
  const { handle, effort } = value as Record<string, unknown>;
  return typeof handle === 'string' && handle !== '' && (effort === null || typeof effort === 'string');
}

function parseList(stored: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(stored);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
