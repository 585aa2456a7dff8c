import type { Clock, Timer } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import type { FrameOf, ResponseFrame } from './protocol/incoming.ts';
import type { OutgoingFrame } from './protocol/outgoing.ts';
import { NOTICES } from './words/notices.ts';

export type ResponseType = ResponseFrame['type'];

/**
 * Sends a request and waits for its response. `null`: no response came within `withinMs`; Letta may still have acted on
 * it. Rejects with `link_lost`, `certain: false`, when the link is lost before.
 */
export type Ask = <Type extends ResponseType>(
  response: Type,
  make: (requestId: string) => OutgoingFrame,
  withinMs: number,
) => Promise<FrameOf<Type> | null>;

/** The requests of one link that wait for their response. */
export interface Requests {
  ask: Ask;
  /** As `ask`, but waits on while other frames arrive, at most a minute: then Letta is only busy. */
  askPatiently: Ask;
  /**
   * Gives a response to the request that waits for it. Others are ignored: the relay also sends us responses for others
   * (docs/letta-protocol.md, Hosted: not known).
   */
  handleResponse(requestId: string, frame: ResponseFrame): void;
  /** The link is gone: rejects all waiting and all later requests. */
  failAll(): void;
}

interface WaitingRequest {
  type: ResponseType;
  timer: Timer;
  resolve(frame: ResponseFrame | null): void;
  reject(error: BridgeError): void;
}

const MOST_WAITING = 100;
const PATIENCE_MS = 60_000;

/**
 * @param prefix makes the request ids of this link its own
 * @param lastFrameAt when the last frame of the link came, by the monotonic clock
 */
export function createRequests(
  clock: Clock,
  prefix: string,
  send: (frame: OutgoingFrame) => void,
  lastFrameAt: () => number = () => Number.NEGATIVE_INFINITY,
): Requests {
  const waiting = new Map<string, WaitingRequest>();
  let count = 0;
  let isLinkGone = false;

  const removeRequest = (requestId: string): WaitingRequest | undefined => {
    const request = waiting.get(requestId);
    waiting.delete(requestId);
    request?.timer.cancel();
    return request;
  };

  const askWithin = (
    type: ResponseType,
    make: (requestId: string) => OutgoingFrame,
    withinMs: number,
    mostMs: number,
  ): Promise<ResponseFrame | null> => {
    if (isLinkGone) return Promise.reject(linkLost({ certain: true }));
    if (waiting.size >= MOST_WAITING) {
      return Promise.reject(new BridgeError('letta_unreachable', 'too many requests wait for Letta', { retry: true }));
    }
    count += 1;
    const requestId = `${prefix}-${count}`;
    return new Promise((resolve, reject) => {
      const askedAt = clock.monotonic();
      const endWait = () => {
        const now = clock.monotonic();
        const until = Math.min(lastFrameAt() + withinMs, askedAt + mostMs);
        const request = waiting.get(requestId);
        if (until > now && request) request.timer = clock.after(until - now, endWait);
        else removeRequest(requestId)?.resolve(null);
      };
      waiting.set(requestId, { type, timer: clock.after(withinMs, endWait), resolve, reject });
      send(make(requestId));
    });
  };
  const ask: typeof askWithin = (type, make, withinMs) => askWithin(type, make, withinMs, withinMs);
  const askPatiently: typeof askWithin = (type, make, withinMs) =>
    askWithin(type, make, withinMs, Math.max(withinMs, PATIENCE_MS));

  return {
    // The cast is safe: `handleResponse` compares the response's type with the expected one.
    ask: ask as Ask,
    askPatiently: askPatiently as Ask,
    handleResponse(requestId, frame) {
      const request = removeRequest(requestId);
      if (!request) return;
      if (request.type === frame.type) request.resolve(frame);
      else request.reject(new BridgeError('letta_refused', `${request.type} expected, ${frame.type} came`));
    },
    failAll() {
      isLinkGone = true;
      for (const requestId of [...waiting.keys()]) removeRequest(requestId)?.reject(linkLost({ certain: false }));
    },
  };
}

/** @param certain whether we know that nothing reached Letta */
export function linkLost({ certain }: { certain: boolean }): BridgeError {
  return new BridgeError('link_lost', certain ? 'not connected to Letta' : 'lost the link to Letta while waiting', {
    notice: NOTICES.linkLost,
    certain,
    retry: true,
  });
}
