import type { LaneDialer, LaneEndpoint, LaneHandlers, LaneLoss } from '../../src/letta/link/lane.ts';

type Frame = Record<string, unknown>;

/** The other end of a lane that a test holds in its hand. */
export interface FakeLane {
  endpoint: LaneEndpoint;
  /** Everything that was sent over it, parsed, in order. */
  sent: Frame[];
  /** Whether our side closed it. */
  closed: boolean;
  open(): void;
  /** Delivers one frame, or raw text. */
  deliver(frame: Frame | string): void;
  lose(loss?: LaneLoss): void;
}

export interface FakeLanes {
  dial: LaneDialer;
  /** Every lane ever dialled, in order. */
  lanes: FakeLane[];
  /** Called with each new lane after the dialer returned. */
  onDial: (lane: FakeLane) => void;
  /** Called with each frame that our side sends. */
  onSend: (lane: FakeLane, frame: Frame) => void;
}

/** Lanes without sockets: what one side sends is on the other side's list. */
export function createFakeLanes(): FakeLanes {
  const all: FakeLanes = {
    lanes: [],
    onDial: () => {},
    onSend: () => {},
    dial(endpoint, handlers: LaneHandlers) {
      let over = false;
      const lane: FakeLane = {
        endpoint,
        sent: [],
        closed: false,
        open: () => {
          if (!over) handlers.onOpen();
        },
        deliver: (frame) => {
          if (!over) handlers.onMessage(typeof frame === 'string' ? frame : JSON.stringify(frame));
        },
        lose: (loss = { kind: 'closed', code: 1006, text: '' }) => {
          if (over) return;
          over = true;
          handlers.onClose(loss);
        },
      };
      all.lanes.push(lane);
      queueMicrotask(() => all.onDial(lane));
      return {
        send(text) {
          if (over) return;
          const frame = JSON.parse(text) as Frame;
          lane.sent.push(frame);
          queueMicrotask(() => all.onSend(lane, frame));
        },
        close() {
          over = true;
          lane.closed = true;
        },
      };
    },
  };
  return all;
}
