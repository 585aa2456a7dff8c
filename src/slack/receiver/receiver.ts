import type { App, Receiver } from '@slack/bolt';
import type { Clock, Log } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import type { Accept, Envelope, Reply, Transport } from './transport.ts';

/** Deliveries in work at once. More are not acknowledged, so Slack delivers them again later. */
const IN_FLIGHT = 500;
const DRAIN_MS = 5_000;

export interface ReceiverOptions {
  transport: Transport;
  /** Stores an `event_callback` payload; resolves when it is stored or need not be. */
  storeEvent(body: Record<string, unknown>): Promise<void>;
  /** Called with every delivery, before it is handled. */
  onDelivery?: ((envelope: Envelope) => void) | undefined;
  /** Logs a delivery that is not for us and returns why: it is then acknowledged and dropped. `null`: it is for us. */
  noteForeign?: ((envelope: Envelope) => string | null) | undefined;
  clock: Clock;
  log: Log;
}

/**
 * The receiver around Bolt (docs/slack.md, Hazards: Acks): it stores events, acknowledges them, and then gives them to
 * Bolt's listeners. For everything else the listener acknowledges, once.
 */
export function createReceiver({
  transport,
  storeEvent,
  onDelivery,
  noteForeign,
  clock,
  log,
}: ReceiverOptions): Receiver {
  const inFlight = new Set<Promise<unknown>>();
  let app: App | null = null;
  let stopping: Promise<void> | null = null;

  function trackInFlight<Value>(work: Promise<Value>): Promise<Value> {
    const settled = work.then(
      () => {},
      () => {},
    );
    inFlight.add(settled);
    void settled.then(() => inFlight.delete(settled));
    return work;
  }

  /** Resolves with the listener's acknowledgement; rejects when the listener failed before it acknowledged. */
  function handToBolt(bolt: App, envelope: Envelope): Promise<Reply> {
    const reply = Promise.withResolvers<Reply>();
    let isAcked = false;
    const processed = bolt.processEvent({
      body: envelope.body,
      retryNum: envelope.retryNum,
      ...(envelope.retryReason === null ? {} : { retryReason: envelope.retryReason }),
      // A second acknowledgement throws or confuses, depending on the transport (docs/slack.md, Hazards: Second ack).
      ack: async (response: Reply) => {
        if (isAcked) return log.warn({ kind: envelope.kind }, 'a listener acknowledged a Slack delivery twice');
        isAcked = true;
        reply.resolve(response);
      },
    });
    trackInFlight(processed).then(
      () => {
        if (isAcked) return;
        // No listener took it: without an answer the person would see a warning sign (docs/slack.md, Hazards: Unhandled
        // actions).
        log.info({ kind: envelope.kind, type: typeOf(envelope.body) }, 'no listener for a Slack delivery');
        reply.resolve(undefined);
      },
      (error) => {
        if (isAcked) log.error({ error: asBridgeError(error).message, kind: envelope.kind }, 'a Slack listener failed');
        else reply.reject(error);
      },
    );
    return reply.promise;
  }

  const accept: Accept = async (envelope) => {
    if (!app || stopping) throw new BridgeError('internal', 'not accepting deliveries', { retry: true });
    if (inFlight.size >= IN_FLIGHT) throw new BridgeError('internal', 'too many deliveries at once', { retry: true });
    onDelivery?.(envelope);
    if ((noteForeign?.(envelope) ?? null) !== null) return undefined;
    if (envelope.kind !== 'events_api') return trackInFlight(handToBolt(app, envelope));
    await trackInFlight(storeEvent(envelope.body));
    // The event is stored and gets acknowledged. Bolt gets it for the listeners of other events; what they answer is
    // ignored.
    handToBolt(app, envelope).catch((error) => {
      log.error({ error: asBridgeError(error).message, type: typeOf(envelope.body) }, 'a Slack listener failed');
    });
    return undefined;
  };

  async function drainAndStop(): Promise<void> {
    // Bolt's receivers drop deliveries in work (docs/slack.md, Hazards: Stopping). Here new ones are refused first,
    // then those in work end.
    transport.pause();
    await new Promise<void>((resolve) => {
      const timer = clock.after(DRAIN_MS, resolve);
      void waitUntilDrained().then(() => {
        timer.cancel();
        resolve();
      });
    });
    await transport.stop();
  }

  async function waitUntilDrained(): Promise<void> {
    while (inFlight.size > 0) await Promise.all(inFlight);
  }

  return {
    init(bolt) {
      app = bolt;
    },
    start: () => transport.start(accept),
    stop() {
      stopping ??= drainAndStop();
      return stopping;
    },
  };
}

function typeOf(body: Record<string, unknown>): string | null {
  const event = body.event as { type?: unknown } | undefined;
  const type = event?.type ?? body.type ?? (body.command === undefined ? null : 'command');
  return typeof type === 'string' ? type : null;
}
