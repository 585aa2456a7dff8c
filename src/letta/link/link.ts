import type { Log } from '../../bridge/ports.ts';
import type { Lane, LaneDialer, LaneEndpoint, LaneLoss } from './lane.ts';

export interface LinkHandlers {
  /** Every lane is open. */
  open(): void;
  /** One frame: parsed, otherwise untouched. May come before `open` from a lane that opened first. */
  frame(frame: unknown, lane: LaneEndpoint['name']): void;
  /** The last call, exactly once; never after {@link Link.close}. */
  close(loss: LaneLoss): void;
}

export interface Link {
  /** Goes out on the first lane. Dropped when the link is gone: `close` tells. */
  send(frame: object): void;
  close(): void;
  /** Texts that were no JSON object. */
  readonly broken: number;
}

export interface LinkOptions {
  endpoints: readonly LaneEndpoint[];
  dial: LaneDialer;
  log: Log;
}

/**
 * All lanes as one: they open together and die together, because half a pair would go on without its
 * approvals or without its text. Knows no meaning beyond `seq` and `pong`.
 */
export function openLink({ endpoints, dial, log }: LinkOptions, handlers: LinkHandlers): Link {
  const lanes: Lane[] = [];
  const open = new Set<string>();
  let done = false;
  let broken = 0;

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
    const frame = parseObject(text);
    if (frame === null) {
      broken += 1;
      log.warn({ lane: endpoint.name, length: text.length }, 'a frame was not a JSON object');
      return;
    }
    if (endpoint.acks && typeof frame.seq === 'number') lane.send(`{"type":"ack","seq":${frame.seq}}`);
    if (frame.type === 'pong') return;
    guarded('frame', () => handlers.frame(frame, endpoint.name));
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
    get broken() {
      return broken;
    },
  };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
