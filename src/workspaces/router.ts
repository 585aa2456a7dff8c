import { BoundedMap } from '../bounded-map.ts';
import type { Clock } from '../bridge/ports.ts';
import { appOf, type Foreign, installationQueries } from '../slack/inbound/ours.ts';
import type { Installation, InstallationQuery, Installations } from '../slack/installations/installations.ts';
import type { Envelope } from '../slack/receiver/transport.ts';

export interface RouterParts {
  installations: Pick<Installations, 'find' | 'onChanged'>;
  /** Our app; `null`: not known. */
  appId: string | null;
  clock: Clock;
}

/** Whose a delivery is, or why it is nobody's here. */
export type Route = { installation: Installation } | { foreign: Foreign };

export interface Router {
  /** Rejects when the installations cannot be read: the delivery must come again. */
  find(envelope: Pick<Envelope, 'body'>): Promise<Route>;
  /** Stopping twice is fine. */
  stop(): void;
}

/** Answers that are remembered; each delivery asks for one or two. */
const KEPT = 5_000;
/** Installations that other processes made or removed are noticed after this long where their word of it got lost. */
const KEPT_MS = 30_000;

/**
 * Finds the installation that a delivery is for, by what the delivery says of itself: the same fields for events,
 * clicks, dialogs and commands. The workspace holds the delivery against its own identity once more.
 */
export function createRouter({ installations, appId, clock }: RouterParts): Router {
  const found = new BoundedMap<string, { installation: Installation | null; at: number }>(KEPT);
  const stop = installations.onChanged(() => found.clear());

  async function lookUp(query: InstallationQuery): Promise<Installation | null> {
    const key = query.isEnterpriseInstall ? `E ${query.enterpriseId}` : `T ${query.teamId}`;
    const known = found.get(key);
    if (known && clock.monotonic() - known.at < KEPT_MS) return known.installation;
    const at = clock.monotonic();
    const installation = await installations.find(query);
    found.set(key, { installation, at });
    return installation;
  }

  return {
    async find({ body }) {
      const app = appOf(body);
      if (appId !== null && app !== null && app !== appId) return { foreign: 'other_app' };
      const queries = installationQueries(body);
      for (const query of queries) {
        const installation = await lookUp(query);
        if (installation) return { installation };
      }
      return { foreign: queries.length > 0 ? 'other_workspace' : 'no_workspace' };
    },
    stop,
  };
}
