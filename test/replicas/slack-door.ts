import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request to Slack's Web API. */
export interface SeenCall {
  /** ms since 1970 */
  at: number;
  method: string;
  /** Without `Bearer`; empty when the request had none. */
  token: string;
}

/** The only way of one process to Slack's Web API, which sees what it asks. */
export interface SlackDoor {
  /** For SLACK_API_URL. */
  url: string;
  calls: readonly SeenCall[];
  close(): Promise<void>;
}

const CALLS_KEPT = 50_000;

/** @param slackUrl base of the Web API */
export async function openDoor(slackUrl: string): Promise<SlackDoor> {
  const { hostname: host, port } = new URL(slackUrl);
  const calls: SeenCall[] = [];
  const agent = new Agent({ keepAlive: true });
  const pass = (asked: IncomingMessage, answer: ServerResponse) => {
    const { method, url: path = '', headers } = asked;
    const token = (headers.authorization ?? '').replace('Bearer ', '');
    calls.push({ at: Date.now(), method: (path.split('?')[0] ?? '').split('/').pop() ?? '', token });
    if (calls.length > CALLS_KEPT) calls.shift();
    const inner = request({ host, port, method, path, headers, agent }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
      response.on('error', () => answer.destroy());
    });
    inner.on('error', () => answer.destroy());
    answer.on('close', () => answer.writableFinished || inner.destroy());
    asked.pipe(inner);
  };
  const server = createServer(pass).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(slackUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    calls,
    async close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, 'close');
    },
  };
}
