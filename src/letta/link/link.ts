import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { type Decoded, decode } from '../protocol/decode.ts';
import type { Frame } from '../protocol/incoming.ts';
import { ack, type OutgoingFrame } from '../protocol/outgoing.ts';
import type { Lane, LaneDialer, LaneEndpoint, LaneLoss } from './lane.ts';

export interface LinkHandlers {
  /** Every lane is open. */
  onOpen(): void;
  /**
   * One decoded frame, already acknowledged; of the model's words the acknowledgement may still wait a moment. May come
   * before `open`, from a lane that opened first.
   */
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
  clock: Clock;
  log: Log;
}

/**
 * How long the acknowledgement of words may wait for others, so that all leave in one write: a write of its own costs as
 * much as all else that is done with a word. Far below any time after which a relay could send a frame again.
 */
const ACKS_WAIT_MS = 50;
const MOST_WAITING_ACKS = 64;

/**
 * All lanes as one. When one closes, all close, because half a pair would lose its approvals or its text. Decodes each
 * frame once and interprets only `seq` and `pong`.
 */
export function openLink({ endpoints, dial, clock, log }: LinkOptions, handlers: LinkHandlers): Link {
  const lanes: Lane[] = [];
  const acks: Acks[] = [];
  const openLanes = new Set<string>();
  let isClosed = false;
  const counts = { unknown: 0, malformed: 0 };

  const closeLanes = () => {
    isClosed = true;
    for (const waiting of acks) waiting.drop();
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

  const receiveText = (endpoint: LaneEndpoint, own: Acks, text: string) => {
    if (isClosed) return;
    const decoded = decode(text);
    if (endpoint.wantsAcks && decoded.seq !== null) own.add(decoded.seq, areWords(decoded));
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
      onMessage: (text) => receiveText(endpoint, own, text),
      onClose(loss) {
        if (isClosed) return;
        closeLanes();
        callConsumer('close', () => handlers.onClose(loss));
      },
    });
    const own = createAcks(lane, clock);
    lanes.push(lane);
    acks.push(own);
  }

  return {
    send(frame) {
      const { request_id: requestId } = frame;
      if (isClosed) return;
      acks[0]?.send();
      lanes[0]?.send(JSON.stringify(frame), typeof requestId === 'string' ? requestId : undefined);
    },
    close() {
      if (isClosed) return;
      for (const waiting of acks) waiting.send();
      closeLanes();
    },
    counts,
  };
}

/** The acknowledgements of a lane, which leave in the order of their frames and before anything else. */
interface Acks {
  /** @param mayWait for a moment, for further ones */
  add(seq: number, mayWait: boolean): void;
  /** Sends those that wait. */
  send(): void;
  drop(): void;
}

function createAcks(lane: Lane, clock: Clock): Acks {
  let waiting: number[] = [];
  let timer: Timer | null = null;
  const stop = () => {
    timer?.cancel();
    timer = null;
  };
  const send = () => {
    stop();
    const due = waiting;
    waiting = [];
    for (const seq of due) lane.send(JSON.stringify(ack(seq)));
  };
  return {
    add(seq, mayWait) {
      waiting.push(seq);
      if (!mayWait || waiting.length >= MOST_WAITING_ACKS) send();
      else timer ??= clock.after(ACKS_WAIT_MS, send);
    },
    send,
    drop() {
      stop();
      waiting = [];
    },
  };
}

/** Whether the frame says words of the model, as thousands each second do. */
function areWords(decoded: Decoded): boolean {
  const frame = decoded.kind === 'known' ? decoded.frame : null;
  if (frame?.type !== 'stream_delta') return false;
  const { message_type: type } = frame.delta;
  return type === 'assistant_message' || type === 'reasoning_message';
}
