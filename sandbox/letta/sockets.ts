import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { FrameLog } from './frame-log.ts';
import type { Json } from './types.ts';

const PING_EVERY = 30_000;
const SILENT_FOR = 90_000;
const MAX_FRAME = 32 * 1024 * 1024;

/** One open socket of a client. */
export interface Peer {
  readonly number: number;
  readonly send: (frame: Json) => void;
  /** Bytes that were sent and are still in this process. */
  readonly unsentBytes: () => number;
  readonly close: (code: number, reason: string) => void;
  /** Ends the socket without a close frame: the other side sees 1006. */
  readonly cutSocket: () => void;
}

export interface PeerHandlers {
  /** `undefined`: not JSON. */
  readonly onFrame: (frame: unknown) => void;
  readonly onClose: () => void;
}

export type OnFrame = (dir: 'in' | 'out', frame: unknown) => void;

/** The WebSocket side of a server: upgrades, JSON frames, pings (silent clients are cut) and freezing. */
export class Sockets {
  readonly log = new FrameLog();
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME, autoPong: false });
  readonly #peers = new Map<Peer, WebSocket>();
  #frozenUntil = 0;
  #heldActs: (() => void)[] = [];
  #thawTimer: NodeJS.Timeout | undefined;
  #numbers = 0;
  readonly #onFrame: OnFrame | undefined;

  constructor(onFrame?: OnFrame) {
    this.#onFrame = onFrame;
  }

  get count(): number {
    return this.#peers.size;
  }

  refuseUpgrade(socket: Duplex, status: number, words: string): void {
    socket.end(`HTTP/1.1 ${status} ${words}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }

  acceptUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, join: (peer: Peer) => PeerHandlers): void {
    this.#server.handleUpgrade(request, socket, head, (ws) => this.addSocket(ws, join));
  }

  /** An open socket: one that was accepted, or one that was dialled. */
  addSocket(ws: WebSocket, join: (peer: Peer) => PeerHandlers): void {
    this.#numbers += 1;
    const number = this.#numbers;
    const peer: Peer = {
      number,
      send: (frame) => this.#runUnlessFrozen(() => this.#send(ws, number, frame)),
      unsentBytes: () => ws.bufferedAmount,
      close: (code, reason) => ws.close(code, reason),
      cutSocket: () => ws.terminate(),
    };
    this.#peers.set(peer, ws);
    this.log.add('open', number);
    const handlers = join(peer);
    let heardAt = Date.now();
    const ping = setInterval(() => {
      if (Date.now() - heardAt > SILENT_FOR) ws.terminate();
      else if (!this.#isFrozen()) ws.ping();
    }, PING_EVERY);
    ping.unref();
    ws.on('pong', () => {
      heardAt = Date.now();
    });
    ws.on('ping', (data) => {
      if (!this.#isFrozen()) ws.pong(data);
    });
    ws.on('message', (data) => {
      const frame = parse(String(data));
      this.log.add('in', number, frame);
      this.#onFrame?.('in', frame);
      this.#runUnlessFrozen(() => handlers.onFrame(frame));
    });
    ws.on('error', () => {});
    ws.on('close', () => {
      clearInterval(ping);
      this.#peers.delete(peer);
      this.log.add('close', number);
      handlers.onClose();
    });
  }

  #send(ws: WebSocket, number: number, frame: Json): void {
    if (ws.readyState !== ws.OPEN) return;
    this.log.add('out', number, frame);
    this.#onFrame?.('out', frame);
    ws.send(JSON.stringify(frame));
  }

  /** Holds everything in both directions for a while; the sockets stay open and the held frames follow. */
  freeze(ms: number): void {
    this.#frozenUntil = Date.now() + ms;
    clearTimeout(this.#thawTimer);
    this.#thawTimer = setTimeout(() => {
      this.#frozenUntil = 0;
      for (const act of this.#heldActs.splice(0)) act();
    }, ms);
    this.#thawTimer.unref();
  }

  #isFrozen(): boolean {
    return Date.now() < this.#frozenUntil;
  }

  #runUnlessFrozen(act: () => void): void {
    if (this.#isFrozen() || this.#heldActs.length > 0) this.#heldActs.push(act);
    else act();
  }

  cutAll(): void {
    for (const ws of this.#peers.values()) ws.terminate();
  }

  stop(): void {
    clearTimeout(this.#thawTimer);
    this.cutAll();
    this.#server.close();
  }
}

function parse(words: string): unknown {
  try {
    return JSON.parse(words);
  } catch {
    return undefined;
  }
}
