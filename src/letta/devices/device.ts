import { BoundedMap } from '../../bounded-map.ts';
import type { StoredRuntime } from '../../bridge/agent-event.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import type { Lane, LaneEndpoint, LaneHandlers, LaneLoss } from '../link/lane.ts';
import { UnclaimedFrames } from './unclaimed.ts';

/** The one socket of a device, as the door accepted it. */
export interface DeviceSocket {
  send(text: string): void;
  /** Ends it; its `onClose` is called all the same. */
  close(code: number, reason: string): void;
}

interface OpenLane {
  handlers: LaneHandlers;
  runtime: string | null;
}

const MOST_REQUESTS = 5_000;
/** A device that talks nonsense is told of once, not once for each frame. */
const WARNS_EVERY_MS = 60_000;

/**
 * One machine that dials us. All its conversations share its one socket (docs/letta-protocol.md, A device that dials
 * us), so each connection gets a lane of its own here: it carries the answers to its requests and the frames of its
 * conversation, and all lanes end with the socket.
 */
export class Device {
  readonly #clock: Clock;
  readonly #log: Log;
  #socket: DeviceSocket | null = null;
  readonly #lanes = new Set<OpenLane>();
  readonly #byRuntime = new Map<string, Set<OpenLane>>();
  /** Whose answer comes under which id. */
  readonly #byRequest = new BoundedMap<string, OpenLane>(MOST_REQUESTS);
  readonly #unclaimed = new UnclaimedFrames();
  #warnedAt: number | null = null;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  get isOnline(): boolean {
    return this.#socket !== null;
  }

  /** The device dialled in. An older socket of it must have ended before. */
  attach(socket: DeviceSocket): void {
    this.#socket = socket;
  }

  /** Its socket is gone, and with it all lanes. */
  detach(loss: LaneLoss): void {
    this.#socket = null;
    this.#byRequest.clear();
    this.#byRuntime.clear();
    this.#unclaimed.clear();
    const lanes = [...this.#lanes];
    this.#lanes.clear();
    for (const lane of lanes) lane.handlers.onClose(loss);
  }

  closeSocket(code: number, reason: string): void {
    this.#socket?.close(code, reason);
  }

  /** A lane over its socket: a {@link LaneDialer} for this device. Fails at once when the device is not there. */
  openLane(endpoint: LaneEndpoint, handlers: LaneHandlers): Lane {
    const lane: OpenLane = { handlers, runtime: null };
    if (this.#socket === null) {
      queueMicrotask(() => handlers.onClose({ kind: 'unreachable', text: 'the device is not connected' }));
    } else {
      this.#lanes.add(lane);
      queueMicrotask(() => {
        if (!this.#lanes.has(lane)) return;
        handlers.onOpen();
        if (endpoint.runtime) this.#claim(lane, keyOf(endpoint.runtime.agentId, endpoint.runtime.conversationId));
      });
    }
    return {
      send: (text, requestId) => {
        if (!this.#lanes.has(lane)) return;
        if (requestId !== undefined) this.#byRequest.set(requestId, lane);
        this.#socket?.send(text);
      },
      close: () => this.#forget(lane),
    };
  }

  /** One frame of the device, as it came. */
  receive(text: string): void {
    const frame = readFrame(text);
    if (frame === null) {
      this.#warn('could not read a frame of the device');
      return;
    }
    if (frame.type === 'ping') {
      this.#socket?.send('{"type":"pong"}');
      return;
    }
    const { requestId, runtime } = frame;
    const asker = isResponse(frame.type) && requestId !== null ? this.#byRequest.get(requestId) : undefined;
    if (asker && requestId !== null) {
      this.#byRequest.delete(requestId);
      if (frame.type === 'runtime_start_response' && runtime !== null) this.#claim(asker, runtime);
      asker.handlers.onMessage(text);
      return;
    }
    if (runtime === null) return;
    const lanes = this.#byRuntime.get(runtime);
    if (lanes) for (const lane of [...lanes]) lane.handlers.onMessage(text);
    else this.#unclaimed.keep(runtime, text, this.#clock.monotonic());
  }

  /** From now on the lane gets the frames of that conversation, beginning with those that came before. */
  #claim(lane: OpenLane, runtime: string): void {
    if (lane.runtime === runtime) return;
    this.#release(lane);
    lane.runtime = runtime;
    const lanes = this.#byRuntime.get(runtime) ?? new Set();
    this.#byRuntime.set(runtime, lanes.add(lane));
    for (const text of this.#unclaimed.take(runtime, this.#clock.monotonic())) lane.handlers.onMessage(text);
  }

  #release(lane: OpenLane): void {
    if (lane.runtime === null) return;
    const lanes = this.#byRuntime.get(lane.runtime);
    lanes?.delete(lane);
    if (lanes?.size === 0) this.#byRuntime.delete(lane.runtime);
  }

  #forget(lane: OpenLane): void {
    if (!this.#lanes.delete(lane)) return;
    this.#release(lane);
    for (const [requestId, asker] of this.#byRequest) if (asker === lane) this.#byRequest.delete(requestId);
  }

  #warn(message: string): void {
    const now = this.#clock.monotonic();
    if (this.#warnedAt !== null && now - this.#warnedAt < WARNS_EVERY_MS) return;
    this.#warnedAt = now;
    this.#log.warn({}, message);
  }
}

/** The endpoint of a lane to a device. @param runtime `null`: the lane makes a new conversation, or asks only */
export function deviceLane(deviceId: string, runtime: Omit<StoredRuntime, 'deviceId'> | null): LaneEndpoint {
  return {
    name: 'device',
    url: `device:${deviceId}`,
    headers: {},
    heartbeat: 'websocket',
    wantsAcks: false,
    ...(runtime !== null && { runtime }),
  };
}

export const deviceOf = ({ url }: LaneEndpoint): string => url.slice('device:'.length);

const keyOf = (agentId: string, conversationId: string) => JSON.stringify([agentId, conversationId]);

interface FrameHead {
  type: string;
  requestId: string | null;
  runtime: string | null;
}

/** Requests of the device, which have a `request_id` of its own. */
const REQUESTS: ReadonlySet<string> = new Set(['control_request', 'external_tool_call_request']);
const isResponse = (type: string) => !REQUESTS.has(type);

/** What tells whose frame it is; the link reads the rest. `null`: not a frame. */
function readFrame(text: string): FrameHead | null {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(frame) || typeof frame.type !== 'string') return null;
  const { type, request_id: requestId, runtime } = frame;
  const isNamed =
    isObject(runtime) && typeof runtime.agent_id === 'string' && typeof runtime.conversation_id === 'string';
  return {
    type,
    requestId: typeof requestId === 'string' ? requestId : null,
    runtime: isNamed ? keyOf(String(runtime.agent_id), String(runtime.conversation_id)) : null,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
