import type { Log } from '../../bridge/ports.ts';
import { decode } from '../protocol/decode.ts';
import type { Frame } from '../protocol/incoming.ts';
import { ack, type OutgoingFrame } from '../protocol/outgoing.ts';
import type { Lane, LaneDialer, LaneEndpoint, LaneLoss } from './lane.ts';

export interface LinkHandlers {
  /** Every lane is open. */
  onOpen(): void;
  /** One decoded frame, already acknowledged. May come before `open`, from a lane that opened first. */
  onFrame(frame: Frame, lane: LaneEndpoint['name']): void;
  /** The last call, exactly once; never after {@link Link.close}. */
  onClose(loss: LaneLoss): void;
}

export interface Link {
  /** Sends on the first lane. Dropped when the link is gone; `onClose` reports the loss. */
  send(frame: OutgoingFrame): void;
  close(): void;
  /** Unusable frames by reason; the link survives them. */
  readonly counts: Readonly<{ unknown: number; malformed: number }>;
}

export interface LinkOptions {
  endpoints: readonly LaneEndpoint[];
  dial: LaneDialer;
  log: Log;
}

/**
 * All lanes as one. When one closes, all close, because half a pair would lose its approvals or its text. Decodes each
 * frame once and interprets only `seq` and `pong`.
 */
export function openLink({ endpoints, dial, log }: LinkOptions, handlers: LinkHandlers): Link {
  const lanes: Lane[] = [];
  const openLanes = new Set<string>();
  let isClosed = false;
  const counts = { unknown: 0, malformed: 0 };

  const closeLanes = () => {
    isClosed = true;
    for (const lane of lanes) lane.close();
  };
  // If the consumer throws, that is its bug; the link must go on acknowledging frames.
  const callConsumer = (what: string, run: () => void) => {
    try {
      run();
    } catch (error) {
      log.error({ err: error, what }, 'a consumer of the link failed');
    }
  };

  const receiveText = (endpoint: LaneEndpoint, lane: Lane, text: string) => {
    if (isClosed) return;
    const decoded = decode(text);
    if (endpoint.wantsAcks && decoded.seq !== null) lane.send(JSON.stringify(ack(decoded.seq)));
    if (decoded.kind !== 'known') {
      counts[decoded.kind] += 1;
      const { kind, type } = decoded;
      const reason = decoded.kind === 'malformed' ? decoded.reason : null;
      log[kind === 'malformed' ? 'warn' : 'debug'](
        { lane: endpoint.name, kind, type, reason },
        'could not read a frame from Letta',
      );
    }
    const frame = decoded.kind === 'malformed' ? null : decoded.frame;
    if (frame !== null && frame.type !== 'pong') callConsumer('frame', () => handlers.onFrame(frame, endpoint.name));
  };

  for (const endpoint of endpoints) {
    const lane: Lane = dial(endpoint, {
      onOpen() {
        if (isClosed) return;
        openLanes.add(endpoint.name);
        if (openLanes.size === endpoints.length) callConsumer('open', handlers.onOpen);
      },
      onMessage: (text) => receiveText(endpoint, lane, text),
      onClose(loss) {
        if (isClosed) return;
        closeLanes();
        callConsumer('close', () => handlers.onClose(loss));
      },
    });
    lanes.push(lane);
  }

  return {
    send(frame) {
      const { request_id: requestId } = frame;
      if (!isClosed) lanes[0]?.send(JSON.stringify(frame), typeof requestId === 'string' ? requestId : undefined);
    },
    close() {
      if (!isClosed) closeLanes();
    },
    counts,
  };
}
