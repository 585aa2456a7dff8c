import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/clock.ts';
import { type Check, type HealthServer, healthRoutes, type Scrape, serveHealth } from '../../src/ops/health.ts';
import { until } from '../support/until.ts';

const servers: HealthServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function serve(checks: () => Check[], served?: () => string[]) {
  const server = await serveHealth(healthRoutes(checks, null, served), { port: 0, host: '127.0.0.1', clock });
  servers.push(server);
  return async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : (JSON.parse(text) as unknown) };
  };
}

describe('the metrics endpoint', () => {
  const serveMetrics = async (scrape: Scrape) => {
    const server = await serveHealth(
      healthRoutes(() => [], scrape),
      { port: 0, host: '127.0.0.1', clock },
    );
    servers.push(server);
    return fetch(`http://127.0.0.1:${server.port}/metrics`);
  };

  it('serves what was scraped', async () => {
    const response = await serveMetrics(async () => ({ contentType: 'text/plain; version=0.0.4', text: 'a 1\n' }));
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await response.text()).toBe('a 1\n');
  });

  it('answers 500 when scraping fails, without details', async () => {
    const response = await serveMetrics(async () => {
      throw new Error('out of order');
    });
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('out of order');
  });
});

describe('the health server', () => {
  it('answers /healthz with 200, whatever the checks say', async () => {
    const get = await serve(() => [{ name: 'slack', ok: false, state: 'lost' }]);
    expect(await get('/healthz')).toEqual({ status: 200, body: { ok: true } });
    expect((await get('/healthz?verbose')).status).toBe(200);
    expect(await get('/healthz', { method: 'HEAD' })).toEqual({ status: 200, body: null });
  });

  it('answers /readyz with 503 while any check fails', async () => {
    const slack = { name: 'slack', ok: true, state: 'connected' };
    const get = await serve(() => [slack, { name: 'store', ok: true, state: 'open' }]);
    expect((await get('/readyz')).status).toBe(200);
    slack.ok = false;
    slack.state = 'reconnecting';
    expect(await get('/readyz')).toEqual({
      status: 503,
      body: { ok: false, checks: [slack, { name: 'store', ok: true, state: 'open' }] },
    });
  });

  it('answers /readyz with 503 when a check throws, without details', async () => {
    const get = await serve(() => {
      throw new Error('secret details');
    });
    const { status, body } = await get('/readyz');
    expect(status).toBe(503);
    expect(JSON.stringify(body)).not.toContain('secret');
  });

  it('answers /readyz with the workspaces it serves, at most 100', async () => {
    const workspaces = ['T02', 'T01'];
    const get = await serve(
      () => [],
      () => workspaces,
    );
    expect(await get('/readyz')).toMatchObject({ body: { serves: { count: 2, workspaces: ['T01', 'T02'] } } });
    for (let n = 2; n < 1_000; n += 1) workspaces.push(`T${100 + n}`);
    const { body } = await get('/readyz');
    expect(body).toMatchObject({ serves: { count: 1_000 } });
    expect((body as { serves: { workspaces: string[] } }).serves.workspaces).toHaveLength(100);
  });

  it('answers other paths with 404, other methods with 405', async () => {
    const get = await serve(() => []);
    expect((await get('/metrics')).status).toBe(404);
    expect((await get('/healthz', { method: 'POST' })).status).toBe(405);
  });

  it('fails on a used port with an error naming it', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const taken = serveHealth(
      healthRoutes(() => []),
      { port, host: '127.0.0.1', clock },
    );
    await expect(taken).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(String(port)),
    });
    await new Promise((resolve) => other.close(resolve));
  });

  it('refuses bodies, many connections and slow headers', { timeout: 30_000 }, async () => {
    const server = await serveHealth(
      healthRoutes(() => []),
      { port: 0, host: '127.0.0.1', clock },
    );
    servers.push(server);
    const open = new Set<Socket>();
    const ask = (text: string) => {
      const socket = connect(server.port, '127.0.0.1');
      let heard = '';
      open.add(socket);
      socket.on('data', (data) => {
        heard += String(data);
      });
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
      socket.write(text);
      return () => heard;
    };
    const endless = ask('POST /readyz HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\nxxxx');
    const chunked = ask('GET /readyz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await until(() => endless().includes('413') && chunked().includes('413'), endless);
    await until(
      () => open.size === 0,
      () => `${open.size} open`,
    );
    // Slow ones: a header that never ends, and nothing at all.
    for (let count = 0; count < 30; count += 1) ask('GET /healthz HTTP/1.1\r\nx: ');
    for (let count = 0; count < 120; count += 1) ask('');
    await until(
      () => open.size <= 50,
      () => `${open.size} open`,
    );
    await until(
      () => open.size === 0,
      () => `${open.size} open`,
      20_000,
    );
    const response = await fetch(`http://127.0.0.1:${server.port}/healthz`);
    expect(response.status).toBe(200);
  });

  it('may be stopped twice', async () => {
    const server = await serveHealth(
      healthRoutes(() => []),
      { port: 0, host: '127.0.0.1', clock },
    );
    await server.stop();
    await server.stop();
  });
});
