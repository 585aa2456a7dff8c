import type { WorkspaceId } from '../bridge/ids.ts';
import type { Log, Metrics } from '../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../errors.ts';
import { messageOfEvent } from '../slack/inbound/about.ts';
import { tellsOfRevocation } from '../slack/inbound/revocation.ts';
import { noteIgnoredDelivery } from '../slack/listeners/foreign.ts';
import { replyTryAgain, type TryAgainParts } from '../slack/listeners/try-again.ts';
import type { Envelope, Reply } from '../slack/receiver/transport.ts';
import type { InboundTable } from '../storage/house.ts';
import type { Keeper } from './keeper.ts';
import type { Router } from './router.ts';

export interface DeliveriesParts extends TryAgainParts {
  router: Router;
  keeper: Pick<Keeper, 'find' | 'isHeld' | 'want'>;
  inbound: Pick<InboundTable, 'put'>;
  /** Finds out whether the app is gone from a workspace, and deletes its tokens then; left out: it cannot go. */
  removeIfRevoked?: ((workspace: WorkspaceId) => Promise<boolean>) | undefined;
  log: Log;
  metrics: Metrics;
}

/** Slack waits 3 s for the answer to a click, dialog or command, and gives up. */
const REPLY_MS = 2_500;

/**
 * Brings each delivery to its workspace: directly when this process serves it, else by the store to whoever does. A
 * promise that rejects means: not taken, Slack is to deliver it again.
 */
export function createDeliveries(parts: DeliveriesParts): (envelope: Envelope) => Promise<Reply> {
  const { router, keeper, inbound, removeIfRevoked, log, metrics } = parts;

  /** Whoever serves the workspace stops, and its rows are deleted under its lease; if nobody does, they are taken here. */
  async function tellOwner(workspace: WorkspaceId, envelope: Envelope): Promise<Reply> {
    if (keeper.isHeld(workspace)) return undefined;
    keeper.want(workspace);
    try {
      await inbound.put(workspace, envelope);
    } catch (error) {
      // What is to be deleted is on disk, so that the next start finds it.
      log.debug({ workspace, error: asBridgeError(error).message }, 'no process took the news of an uninstalled app');
    }
    return undefined;
  }

  async function handOver(workspace: WorkspaceId, envelope: Envelope): Promise<Reply> {
    keeper.want(workspace);
    if (envelope.kind === 'events_api') {
      const about = messageOfEvent(envelope.body);
      return inbound.put(workspace, { ...envelope, ...(about && { about }) });
    }
    try {
      return await inbound.put(workspace, envelope, REPLY_MS);
    } catch (error) {
      const { code, certain, message } = asBridgeError(error);
      log.warn({ workspace, kind: envelope.kind, code, error: message }, 'no process took a delivery in time');
      const told = replyTryAgain(envelope, certain, parts);
      if (told === null) throw error;
      return told.reply;
    }
  }

  return async (envelope) => {
    const route = await router.find(envelope);
    if ('foreign' in route) {
      noteIgnoredDelivery({ log, metrics }, envelope, route.foreign);
      return undefined;
    }
    const { workspace, source } = route.installation;
    if (removeIfRevoked && source === 'oauth' && tellsOfRevocation(envelope)) {
      return (await removeIfRevoked(workspace)) ? tellOwner(workspace, envelope) : undefined;
    }
    const served = keeper.find(workspace);
    if (!served) return handOver(workspace, envelope);
    try {
      return await served.accept(envelope);
    } catch (error) {
      if (!(error instanceof BridgeError && error.code === 'lease_lost')) throw error;
      // Whoever serves it next knows by its key whether it was taken before the lease was lost. A click, a dialog or a
      // command has no key, and may have had its effect: it is not begun a second time.
      if (envelope.kind === 'events_api') return handOver(workspace, envelope);
      log.warn({ workspace, kind: envelope.kind }, 'the lease was lost while a delivery was in work');
      const told = replyTryAgain(envelope, false, parts);
      if (told === null) throw error;
      return told.reply;
    }
  };
}
