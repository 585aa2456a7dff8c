import type { Sandbox } from '../sandbox.ts';
import type { CallFault, SocketFault } from '../slack/faults.ts';
import type { FaultInfo } from './wire.ts';

export interface PageFault extends FaultInfo {
  causeFault(sandbox: Sandbox): Promise<unknown> | unknown;
}

function slack(id: string, title: string, about: string, fault: CallFault | SocketFault): PageFault {
  return { id, side: 'slack', title, about, causeFault: (sandbox) => sandbox.slack.control.faults(fault) };
}

function letta(id: string, title: string, about: string, fault: Record<string, unknown>): PageFault {
  return { id, side: 'letta', title, about, causeFault: (sandbox) => sandbox.causeFault(fault) };
}

/** Faults that a person can cause with a click. */
export const PAGE_FAULTS: readonly PageFault[] = [
  slack('edits-429', 'Edits: 429 × 5', 'The next five chat.update calls are rate limited for 2 s each.', {
    method: 'chat.update',
    kind: 'ratelimited',
    retryAfter: 2,
    times: 5,
  }),
  slack('posts-429', 'Posts: 429 × 3', 'The next three chat.postMessage calls are rate limited for 2 s each.', {
    method: 'chat.postMessage',
    kind: 'ratelimited',
    retryAfter: 2,
    times: 3,
  }),
  slack('http-500', 'HTTP 500 × 3', 'The next three calls, of any kind, fail inside Slack.', {
    kind: 'http_500',
    times: 3,
  }),
  slack('lost-answer', 'Answer lost', 'Slack posts the next message, but the connection breaks before it can say so.', {
    method: 'chat.postMessage',
    kind: 'reset_after',
  }),
  slack('slow', 'Slow answers × 5', 'The next five calls take 3 s each.', { kind: 'delay', ms: 3_000, times: 5 }),
  slack('html', 'HTML answer', 'Slack answers the next call with a web page instead of JSON.', { kind: 'html' }),
  slack('socket-close', 'Cut the socket', 'The Socket Mode connection breaks; the bridge connects again.', {
    socket: 'close',
  }),
  slack(
    'socket-warning',
    'Refresh the socket',
    'Slack announces that it will close the socket, as it does every few hours.',
    {
      socket: 'disconnect_warning',
      ms: 3_000,
    },
  ),
  slack('socket-freeze', 'Freeze the socket 10 s', 'The socket stays open, but nothing gets through.', {
    socket: 'freeze',
    ms: 10_000,
  }),
  slack(
    'socket-refuse',
    'Refuse sockets 10 s',
    'Slack refuses new connections. Cut the socket as well to see the effect.',
    {
      socket: 'refuse',
      ms: 10_000,
    },
  ),
  letta('letta-close', 'Cut the connection', 'Every socket to Letta breaks.', { kind: 'close' }),
  letta('letta-freeze', 'Freeze 8 s', 'Letta’s sockets stay open, but nothing gets through.', {
    kind: 'freeze',
    ms: 8_000,
  }),
  letta('letta-restart', 'Restart the agent', 'The process that runs the agent ends and starts again.', {
    kind: 'restart',
    ms: 1_500,
  }),
  letta('letta-drop', 'Lose 5 frames', 'The next five frames never arrive.', { kind: 'drop_frames', times: 5 }),
  letta('letta-offline', 'Offline 10 s', 'The device goes offline; messages wait for it.', {
    kind: 'offline',
    ms: 10_000,
  }),
];
