import { BoundedMap } from '../../bounded-map.ts';
import type { ChannelId } from '../ids.ts';
import type { Choices, Log } from '../ports.ts';
import {
  type Binding,
  type Permissions,
  type PlaceSettings,
  type Policy,
  type PolicyBook,
  settingsOf,
} from './policy.ts';

/** What admins set for a channel by command; what is not there is as the policy says. */
export interface Bound {
  permissions?: Permissions;
  agentId?: string;
  device?: string;
  workingDirectory?: string;
}

/** Under this name the store keeps what channels are bound to. */
export const BINDINGS = 'bindings';
/** The one bound first is forgotten when there are more. */
const CHANNELS_KEPT = 500;
const PERMISSIONS: ReadonlySet<string> = new Set<Permissions>(['guarded', 'standard', 'acceptEdits', 'strict']);

/**
 * The policy with what admins have bound channels to by command, which is stored. The policy is the base: a command
 * changes agent, device, directory and permissions of a channel, nothing else, until it is taken back.
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

  /** Before anything is taken up or taken in. Rejects when the disk fails. */
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

  /** @param change `undefined` takes back what was set. Resolves when it is on disk; until then all is as before. */
  async bindChannel(channel: ChannelId, change: { [Name in keyof Bound]: Bound[Name] | undefined }): Promise<void> {
    const next = new BoundedMap(CHANNELS_KEPT, this.#bound);
    const bound: Bound = {};
    for (const [name, value] of Object.entries({ ...this.getBound(channel), ...change })) {
      if (value !== undefined) Object.assign(bound, { [name]: value });
    }
    next.delete(channel);
    if (Object.keys(bound).length > 0) next.set(channel, bound);
    await this.#choices.set(BINDINGS, JSON.stringify([...next]));
    this.#bound = next;
    this.#merged = null;
    this.#log.info({ channel, ...bound }, 'channel binding changed');
  }

  #merge(base: Policy): Policy {
    if (this.#bound.size === 0) return base;
    const places = new Map(base.places);
    for (const [channel, bound] of this.#bound) {
      const { binding } = settingsOf(base, channel);
      places.set(channel, { ...places.get(channel), ...settingsWith(bound, binding) });
    }
    return { ...base, places };
  }
}

function settingsWith(bound: Bound, base: Binding | null): Partial<PlaceSettings> {
  const { permissions, agentId, device, workingDirectory } = bound;
  const binding = { ...(base ?? { agentId: null, device: null, workingDirectory: null }) };
  if (agentId !== undefined) binding.agentId = agentId;
  if (device !== undefined) binding.device = device;
  if (workingDirectory !== undefined) binding.workingDirectory = workingDirectory;
  return { ...(permissions !== undefined && { permissions }), binding };
}

/** What is stored, by channel. What does not fit is left out: it was written by another version, or by hand. */
export function readBindings(stored: string | null): Map<ChannelId, Bound> {
  const bound = new Map<ChannelId, Bound>();
  for (const entry of parseList(stored ?? '[]')) {
    const [channel, fields] = Array.isArray(entry) ? entry : [];
    if (typeof channel !== 'string' || typeof fields !== 'object' || fields === null) continue;
    const { permissions, ...texts } = fields as Record<string, unknown>;
    const one: Bound = {};
    if (typeof permissions === 'string' && PERMISSIONS.has(permissions)) one.permissions = permissions as Permissions;
    for (const name of ['agentId', 'device', 'workingDirectory'] as const) {
      const value = texts[name];
      if (typeof value === 'string' && value !== '') one[name] = value;
    }
    bound.set(channel, one);
  }
  return bound;
}

function parseList(stored: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(stored);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
