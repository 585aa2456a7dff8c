import { InvalidStateError, type StateStore } from '@slack/oauth';
import { z } from 'zod';
import { BoundedMap } from '../../bounded-map.ts';
import type { Clock, Random } from '../../bridge/ports.ts';
import type { Sealer } from './seal.ts';

/** For how long somebody may look at Slack's page before they answer it. */
export const STATE_MS = 10 * 60_000;
/** Used states that are remembered until they are too old. */
const USED_KEPT = 5_000;
const OWNER = 'install';

const contents = z.strictObject({ at: z.number(), nonce: z.string().min(16) });

export interface InstallStateParts {
  sealer: Sealer;
  /** What the exchange of the code must repeat. */
  options: { scopes: readonly string[]; redirectUri: string };
  clock: Clock;
  random: Random;
}

/**
 * The `state` that goes with somebody to Slack and back: sealed by our key, so that nobody else can make one and any
 * process can read it; good for ten minutes, and for once. Nothing is stored when somebody only opens the page. The
 * browser's cookie, which must hold the same state, is compared by `InstallProvider`.
 */
export function createInstallState({ sealer, options, clock, random }: InstallStateParts): StateStore {
  const used = new BoundedMap<string, true>(USED_KEPT);
  const given = { scopes: [...options.scopes], redirectUri: options.redirectUri };
  return {
    async generateStateParam() {
      return sealer.seal(JSON.stringify({ at: clock.now(), nonce: random.id() }), OWNER);
    },
    async verifyStateParam(_now, state) {
      const { at, nonce } = read(sealer, state);
      const age = clock.now() - at;
      // A state of the future is from a process whose clock is ahead, within reason.
      if (age > STATE_MS || age < -STATE_MS) throw new InvalidStateError('the state is too old');
      if (used.has(nonce)) throw new InvalidStateError('the state was used before');
      used.set(nonce, true);
      return given;
    },
  };
}

function read(sealer: Sealer, state: string): z.infer<typeof contents> {
  try {
    return contents.parse(JSON.parse(sealer.open(state, OWNER).text));
  } catch {
    throw new InvalidStateError('the state is not one of ours');
  }
}
