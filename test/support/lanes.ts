import type { LaneDialer, LaneEndpoint, LaneHandlers, LaneLoss } from '../../src/letta/link/lane.ts';

type Frame = Record<string, unknown>;

/** The server's end of a lane, which the test controls. */
export interface FakeLane {
  endpoint: LaneEndpoint;
  /** Everything that was sent over it, parsed, in order. */
  sent: Frame[];
  /** Whether our side closed it. */
  isClosed: boolean;
  openLane(): void;
  /** Delivers one frame, or raw text. */
  deliverFrame(frame: Frame | string): void;
  loseLane(loss?: LaneLoss): void;
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

/** Lanes without sockets: frames that our side sends are kept in a list. */
export function createFakeLanes(): FakeLanes {
  const all: FakeLanes = {
    lanes: [],
    onDial: () => {},
    onSend: () => {},
    dial(endpoint, handlers: LaneHandlers) {
      let isOver = false;
      const lane: FakeLane = {
        endpoint,
        sent: [],
        isClosed: false,
        openLane: () => {
          if (!isOver) handlers.onOpen();
        },
        deliverFrame: (frame) => {
          if (!isOver) handlers.onMessage(typeof frame === 'string' ? frame : JSON.stringify(frame));
        },
        loseLane: (loss = { kind: 'closed', code: 1006, text: '' }) => {
          if (isOver) return;
          isOver = true;
          handlers.onClose(loss);
        },
      };
      all.lanes.push(lane);
      queueMicrotask(() => all.onDial(lane));
      return {
        send(text) {
          if (isOver) return;
          const frame = JSON.parse(text) as Frame;
          lane.sent.push(frame);
          queueMicrotask(() => all.onSend(lane, frame));
        },
        close() {
          isOver = true;
          lane.isClosed = true;
        },
      };
    },
  };
  return all;
}
