import type { RuntimeRef } from '../../bridge/agent-event.ts';

/** How a lane shows that it is alive: a WebSocket ping (App Server) or a JSON `ping` frame (hosted relay). */
export type HeartbeatKind = 'websocket' | 'json';

/** Where one socket of a link leads. The headers hold the token: log only the endpoint's name. */
export interface LaneEndpoint {
  name: 'direct' | 'stream' | 'control' | 'device';
  url: string;
  headers: Record<string, string>;
  heartbeat: HeartbeatKind;
  /**
   * Whether the other side numbers its frames and wants each `seq` acknowledged (docs/letta-protocol.md, Hosted:
   * socket).
   */
  wantsAcks: boolean;
  /** On a socket that conversations share: whose frames the lane carries. Left out: of the one that it starts. */
  runtime?: RuntimeRef;
}

/** Why a lane ended. */
export type LaneLoss =
  /** The upgrade was answered with this HTTP status instead. */
  | { kind: 'refused'; status: number; text: string }
  /** It never opened: no route, no listener, or no answer in time. */
  | { kind: 'unreachable'; text: string }
  /** It was open, then nothing came for too long. */
  | { kind: 'silent' }
  | { kind: 'closed'; code: number; text: string };

export interface LaneHandlers {
  onOpen(): void;
  onMessage(text: string): void;
  /** The last call of a lane, exactly once; never after {@link Lane.close}. */
  onClose(loss: LaneLoss): void;
}

/** One socket to Letta, dialled or accepted. */
export interface Lane {
  /**
   * Text for a lane that is no longer open is dropped; `onClose` reports the loss.
   * @param requestId of a request, so that its answer finds back on a socket that conversations share
   */
  send(text: string, requestId?: string): void;
  /** Ends it without telling the handlers. Closing twice is fine. */
  close(): void;
}

/** Calls the handlers only after it has returned. */
export type LaneDialer = (endpoint: LaneEndpoint, handlers: LaneHandlers) => Lane;

/** A line for the log: no address, no token. */
export function lossReason(loss: LaneLoss): string {
  switch (loss.kind) {
    case 'refused':
      return `refused with HTTP ${loss.status}`;
    case 'unreachable':
      return `unreachable: ${loss.text}`;
    case 'silent':
      return 'silent for too long';
    case 'closed':
      return loss.text === '' ? `closed with ${loss.code}` : `closed with ${loss.code}: ${loss.text}`;
    default:
      return loss satisfies never;
  }
}
