import { request } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Sandbox, startSandbox } from '../../../sandbox/sandbox.ts';
import { readPageFiles } from '../../../sandbox/web/page-files.ts';
import { startPage } from '../../../sandbox/web/server.ts';
import type { FeedEvent, Hello, Messages, State, Traffic } from '../../../sandbox/web/wire.ts';
import { statusOf } from '../../support/http.ts';
import { until } from '../../support/until.ts';

async function start(): Promise<{ sandbox: Sandbox; url: string }> {
  const sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    letta: 'app-server',
    pace: 2,
    env: {},
    log: () => undefined,
  });
  onTestFinished(() => sandbox.close());
  const page = await startPage(sandbox, { port: 0 });
  onTestFinished(() => page.close());
  return { sandbox, url: page.url };
}

/** With headers that `fetch` does not let anybody set. */
function ask(url: string, headers: Record<string, string>, method = 'GET', body = ''): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers }, (response) => {
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Everything that a watching page is told. */
async function watch(url: string, user: string): Promise<FeedEvent[]> {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(`${url}_page/feed?user=${user}`, { signal: stop.signal });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const events: FeedEvent[] = [];
  const read = async () => {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true });
      const parts = rest.split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('data: ')) events.push(JSON.parse(part.slice(6)) as FeedEvent);
    }
  };
  read().catch(() => undefined);
  return events;
}

const json = { 'content-type': 'application/json' };
const act = (url: string, body: object) =>
  statusOf(`${url}_page/act`, { method: 'POST', headers: json, body: JSON.stringify(body) });

describe('the page’s server', { timeout: 60_000 }, () => {
  it('serves files that load nothing from elsewhere, under a strict policy', async () => {
    const { url } = await start();
    const index = await fetch(url);
    const policy = index.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const html = await index.text();
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|\bon\w+=|style=/);
    for (const [path, file] of await readPageFiles()) {
      expect(await statusOf(new URL(path, url))).toBe(200);
      const linked = [...file.body.toString().matchAll(/(?:src|href|url|import|fetch)\s*[=(]\s*["']?(https?:)?\/\//g)];
      expect(linked.map(([found]) => found)).toEqual([]);
    }
  });

  it('refuses requests that are not from the page itself', async () => {
    const { url } = await start();
    const host = new URL(url).host;
    const message = JSON.stringify({ channel: 'C01GEN', user: 'U01ALICE', text: 'x' });
    expect(await ask(url, { host: 'evil.example' })).toBe(403);
    expect(await ask(`${url}_page/feed?user=U01ALICE`, { host, origin: 'https://evil.example' })).toBe(403);
    expect(await ask(`${url}_page/feed?user=U01ALICE`, { host, 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(
      await ask(`${url}_page/act`, { host, origin: 'http://localhost:1', ...json }, 'POST', '{"bridge":"kill"}'),
    ).toBe(403);
    expect(await ask(`${url}_control/message`, { host, origin: 'null', ...json }, 'POST', message)).toBe(403);
    expect(await ask(`${url}_page/act`, { host, 'content-type': 'text/plain' }, 'POST', '{"bridge":"kill"}')).toBe(415);
    // A link may lead to the page, and only there.
    const link = { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect(await ask(url, link)).toBe(200);
    expect(await ask(`${url}_control/state`, link)).toBe(403);
    expect(await ask(`${url}_page/feed?user=U01ALICE`, link)).toBe(403);
  });

  it('tells a page everything at first, then only changes', async () => {
    const { sandbox, url } = await start();
    const { control } = sandbox.slack;
    await control.message({ channel: 'C01GEN', user: 'U02BOB', text: 'before' });
    const events = await watch(url, 'U01ALICE');
    const of = <T extends FeedEvent>(type: T['type']) => events.filter((event): event is T => event.type === type);
    const shown = () => JSON.stringify(events.slice(-5));
    await until(() => of<Messages>('messages').length >= 3, shown);
    const [hello] = of<Hello>('hello');
    expect(hello?.scenes.map(({ id }) => id)).toContain('rate-limit-storm');
    expect(of<State>('state')[0]?.channels.map(({ id }) => id)).toEqual(['C01GEN', 'C02ENG', 'C03OUT', 'D01ALICE']);
    const texts = () => of<Messages>('messages').flatMap(({ changed }) => changed.map(({ text }) => text));
    expect(texts()).toEqual(['before']);

    const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent say: hello page' });
    await until(() => JSON.stringify(of<Messages>('messages')).includes('hello page\\"') || texts().length > 2, shown);
    await until(
      () => of<Traffic>('traffic').some(({ lines }) => lines.some(({ title }) => title === 'runtime_start')),
      shown,
    );
    expect(texts().filter((text) => text === 'before')).toHaveLength(1);
    await control.deleteMessage({ channel: 'C01GEN', messageTs: ts });
    await until(() => of<Messages>('messages').some(({ changed }) => changed.some((each) => each.deleted)), shown);
  });

  it('tells each person only what they may see', async () => {
    const { sandbox, url } = await start();
    const { control } = sandbox.slack;
    await control.command({ channel: 'C01GEN', user: 'U01ALICE', command: '/agent', text: 'help' });
    await until(
      () => control.messages('C01GEN', { user: 'U01ALICE' }).length > 0,
      () => 'no private answer',
    );
    const bob = await watch(url, 'U02BOB');
    const guest = await watch(url, 'U05EXT');
    await until(
      () => bob.length > 5 && guest.length > 3,
      () => JSON.stringify(guest),
    );
    expect(JSON.stringify(bob.filter(({ type }) => type === 'messages'))).not.toContain('ephemeral":"U01ALICE');
    const [state] = guest.filter((event): event is State => event.type === 'state');
    expect(state?.channels.map(({ id }) => id)).toEqual(['C01GEN', 'D05EXT']);
    expect(await statusOf(`${url}_page/feed?user=U0BOT`)).toBe(404);
  });

  it('serves files as downloads, except pictures, and runs none of them', async () => {
    const { sandbox, url } = await start();
    const { control } = sandbox.slack;
    const files = [
      { name: 'a.html', content: '<script>1</script>' },
      { name: 'b.png', content: 'png' },
    ];
    await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '', files });
    const ids = control.messages('C01GEN').flatMap((message) => message.files.map(({ id }) => String(id)));
    const [page, picture] = await Promise.all(ids.map((id) => fetch(`${url}_page/files/${id}`)));
    for (const each of [page, picture]) await each?.arrayBuffer();
    expect(page?.headers.get('content-disposition')).toMatch(/^attachment/);
    expect(page?.headers.get('content-type')).toBe('application/octet-stream');
    expect(picture?.headers.get('content-type')).toBe('image/png');
    for (const each of [page, picture]) expect(each?.headers.get('content-security-policy')).toContain('sandbox');
    expect(await statusOf(`${url}_page/files/F0NOTHERE`)).toBe(404);
  });

  it('plays one scene at a time, and refuses unknown requests', async () => {
    const { url } = await start();
    const events = await watch(url, 'U01ALICE');
    const scene = () => events.findLast((event): event is State => event.type === 'state')?.scene;
    const shown = () => JSON.stringify(scene());
    expect(await act(url, { scene: 'stop' })).toBe(200);
    await until(() => scene()?.state === 'playing' && scene()?.thread != null, shown);
    expect(await act(url, { scene: 'question' })).toBe(409);
    expect(await act(url, { scene: '' })).toBe(200);
    await until(() => scene()?.state === 'ended', shown);
    expect(await act(url, { scene: '../main' })).toBe(404);
    expect(await act(url, { fault: 'nothing' })).toBe(404);
    expect(await act(url, { bridge: 'explode' })).toBe(400);
  });

  it('arms every fault that it offers', async () => {
    const { url } = await start();
    const events = await watch(url, 'U01ALICE');
    await until(
      () => events.length > 0,
      () => 'no hello',
    );
    const [hello] = events.filter((event): event is Hello => event.type === 'hello');
    expect(hello?.faults.length).toBeGreaterThan(10);
    for (const { id } of hello?.faults ?? []) expect(await act(url, { fault: id }), id).toBe(200);
  });
});
