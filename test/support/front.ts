import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

export interface FrontOptions {
  port: number;
  /** Ports of the replicas that run. */
  portsBehind(): readonly number[];
  /** ms between two looks at each replica's `/readyz`; left out: no replica is asked. */
  looksEvery?: number;
}

/** A load balancer: each request goes to the next replica that is ready, and to another one when that refuses it. */
export async function openFront({ port, portsBehind, looksEvery }: FrontOptions): Promise<{ close(): Promise<void> }> {
  const notReady = new Set<number>();
  let turns = 0;

  async function look(behind: number): Promise<void> {
    const signal = AbortSignal.timeout(looksEvery ?? 0);
    const isReady = await fetch(`http://127.0.0.1:${behind}/readyz`, { signal }).then(
      ({ ok, body }) => body?.cancel().then(() => ok),
      () => false,
    );
    if (isReady) notReady.delete(behind);
    else notReady.add(behind);
  }

  /** Those that get the request, one after another until one takes it. */
  function order(): number[] {
    const all = portsBehind();
    const ready = all.filter((behind) => !notReady.has(behind));
    const from = ready.length === 0 ? all : ready;
    const at = turns++ % Math.max(1, from.length);
    return [...from.slice(at), ...from.slice(0, at)];
  }

  async function pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const [behind, ...others] = order();
    if (behind === undefined) response.destroy();
    else ask(incoming, Buffer.concat(chunks), response, behind, others);
  }

  function ask(
    incoming: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
    behind: number,
    [next, ...others]: number[],
  ): void {
    const { method, url, headers } = incoming;
    const options = { host: '127.0.0.1', port: behind, method, path: url, headers, agent: false };
    const passed = request(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    passed.on('error', (error: NodeJS.ErrnoException) => {
      // A replica that refuses the connection has seen nothing of the request. One that dies later may have.
      if (error.code === 'ECONNREFUSED' && next !== undefined) ask(incoming, body, response, next, others);
      else response.destroy();
    });
    passed.end(body);
  }

  const front = createServer((incoming, response) => void pass(incoming, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => front.listen(port, '127.0.0.1', resolve));
  const looking = looksEvery === undefined ? undefined : setInterval(() => portsBehind().forEach(look), looksEvery);
  return {
    close: () =>
      new Promise<void>((resolve) => {
        clearInterval(looking);
        front.close(() => resolve());
        front.closeAllConnections();
      }),
  };
}
