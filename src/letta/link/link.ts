import type { Log } from '../../bridge/ports.ts';
import { decode } from '../protocol/decode.ts';
import type { Frame } from '../protocol/incoming.ts';
import { ack, type OutgoingFrame } from '../protocol/outgoing.ts';
import type { Lane, LaneDialer, LaneEndpoint, LaneLoss } from './lane.ts';

export interface LinkHandlers {
  /** Every lane is open. */
  open(): void;
  /** One decoded frame, already acknowledged. May come before `open`, from a lane that opened first. */
  frame(frame: Frame, lane: LaneEndpoint['name']): void;
  /** The last call, exactly once; never after {@link Link.close}. */
  close(loss: LaneLoss): void;
}

export interface Link {
  /** Goes out on the first lane. Dropped when the link is gone: `close` tells. */
  send(frame: OutgoingFrame): void;
  close(): void;
  /** Frames that could not be used, by reason; none is fatal. */
  readonly counts: Readonly<{ unknown: number; malformed: number }>;
}

export interface LinkOptions {
  endpoints: readonly LaneEndpoint[];
  dial: LaneDialer;
  log: Log;
}

/**
 * All lanes as one: they open together and die together, because half a pair would go on without its
 * approvals or without its text. Reads each frame once and knows no meaning beyond `seq` and `pong`.
 */
export function openLink({ endpoints, dial, log }: LinkOptions, handlers: LinkHandlers): Link {
  const lanes: Lane[] = [];
  const open = new Set<string>();
  let done = false;
  const counts = { unknown: 0, malformed: 0 };

  const end = () => {
    done = true;
    for (const lane of lanes) lane.close();
  };
  // Whatever the consumer throws is its own bug; the link has to go on acknowledging and answering.
  const guarded = (what: string, run: () => void) => {
    try {
      run();
    } catch (error) {
      log.error({ err: error, what }, 'a consumer of the link failed');
    }
  };

  const receive = (endpoint: LaneEndpoint, lane: Lane, text: string) => {
    if (done) return;
    const decoded = decode(text);
    if (endpoint.acks && decoded.seq !== null) lane.send(JSON.stringify(ack(decoded.seq)));
    if (decoded.kind !== 'known') {
      counts[decoded.kind] += 1;
      const { kind, type } = decoded;
      const reason = decoded.kind === 'malformed' ? decoded.reason : null;
      log[kind === 'malformed' ? 'warn' : 'debug'](
        { lane: endpoint.name, kind, type, reason },
        'a frame was not usable',
      );
    }
    const frame = decoded.kind === 'malformed' ? null : decoded.frame;
    if (frame !== null && frame.type !== 'pong') guarded('frame', () => handlers.frame(frame, endpoint.name));
  };

  for (const endpoint of endpoints) {
    const lane: Lane = dial(endpoint, {
      open() {
        if (done) return;
        open.add(endpoint.name);
        if (open.size === endpoints.length) guarded('open', handlers.open);
      },
      message: (text) => receive(endpoint, lane, text),
      close(loss) {
        if (done) return;
        end();
        guarded('close', () => handlers.close(loss));
      },
    });
    lanes.push(lane);
  }

  return {
    send(frame) {
      if (!done) lanes[0]?.send(JSON.stringify(frame));
    },
    close() {
      if (!done) end();
    },
    counts,
  };
}
