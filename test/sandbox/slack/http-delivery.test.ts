import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verifySlackRequest } from '@slack/bolt';
import { describe, expect, test } from 'vitest';
import { call, type Json, own, slackFor, until } from './support.ts';

interface Request {
  headers: IncomingHttpHeaders;
  body: string;
}

/** An app that listens over HTTP and answers what `answer` says. */
async function app(
  answer: (request: Request, number: number) => { status?: number; body?: string; headers?: Record<string, string> },
) {
  const requests: Request[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    requests.push({ headers: request.headers, body });
    const { status = 200, body: text = '', headers = {} } = answer({ headers: request.headers, body }, requests.length);
    response.writeHead(status, headers).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  own({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/events` };
}

const outcomes = (slack: Awaited<ReturnType<typeof slackFor>>) =>
  slack.control.log({ type: 'envelope' }).map((entry) => (entry.type === 'envelope' ? entry.outcome : ''));

describe('HTTP delivery of the small Slack', () => {
  test('signs events, clicks and commands so that Bolt accepts them', async () => {
    const { requests, url } = await app(() => ({}));
    const slack = await slackFor({ delivery: { http: url, signingSecret: 'shh' } });
    await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'hällo' });
    await slack.control.command({ channel: 'C01GEN', user: 'U01ALICE', command: '/agent', text: 'a & b' });
    const { body } = await call(slack, 'chat.postMessage', {
      channel: 'C01GEN',
      text: 'card',
      blocks: [
        { type: 'actions', elements: [{ type: 'button', action_id: 'go', text: { type: 'plain_text', text: 'Go' } }] },
      ],
    });
    await slack.control.interact({ channel: 'C01GEN', messageTs: String(body.ts), user: 'U01ALICE', action: 'Go' });
    await until(() => requests.length === 4);
    for (const { headers, body: text } of requests) {
      verifySlackRequest({
        signingSecret: 'shh',
        body: text,
        headers: {
          'x-slack-signature': String(headers['x-slack-signature']),
          'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']),
        },
      });
    }
    expect(requests.map(({ headers }) => headers['content-type']).sort()).toEqual([
      'application/json',
      'application/json',
      'application/x-www-form-urlencoded',
      'application/x-www-form-urlencoded',
    ]);
    const forms = requests
      .filter(({ body: text }) => !text.startsWith('{'))
      .map(({ body: text }) => new URLSearchParams(text));
    expect(forms.find((form) => form.has('command'))?.get('text')).toBe('a & b');
    const click = JSON.parse(forms.find((form) => form.has('payload'))?.get('payload') ?? '{}') as Json;
    expect(click).toMatchObject({ type: 'block_actions', actions: [{ action_id: 'go', type: 'button' }] });
  });

  test('repeats a failed event with number and reason until it succeeds', async () => {
    const { requests, url } = await app((_request, number) => ({ status: number < 3 ? 500 : 200 }));
    const slack = await slackFor({ delivery: { http: url }, retryDelaysMs: [0, 10, 20] });
    await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'hi' });
    await until(() => outcomes(slack).includes('acked'));
    expect(requests.map(({ headers }) => headers['x-slack-retry-num'])).toEqual([undefined, '1', '2']);
    expect(requests[1]?.headers['x-slack-retry-reason']).toBe('http_error');
    expect(new Set(requests.map(({ body }) => (JSON.parse(body) as Json).event_id)).size).toBe(1);
  });

  test('stops repeating on x-slack-no-retry', async () => {
    const { requests, url } = await app(() => ({ status: 500, headers: { 'x-slack-no-retry': '1' } }));
    const slack = await slackFor({ delivery: { http: url }, retryDelaysMs: [0, 0, 0] });
    await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'hi' });
    await until(() => slack.control.state().pending === 0);
    expect(requests).toHaveLength(1);
  });

  test('verifies a request URL by its echo of the challenge', async () => {
    const { url } = await app(({ body }) => ({
      body: JSON.stringify({ challenge: (JSON.parse(body) as Json).challenge }),
    }));
    const good = await slackFor({ delivery: { http: url } });
    expect(await good.control.verifyUrl()).toEqual({ verified: true });
    const { url: rude } = await app(() => ({ body: 'hello' }));
    const bad = await slackFor({ delivery: { http: rude } });
    expect(await bad.control.verifyUrl()).toEqual({ verified: false });
  });

  test('applies the app’s answer to a form', async () => {
    const { url } = await app(({ body }) =>
      body.includes('view_submission')
        ? {
            body: JSON.stringify({ response_action: 'errors', errors: { reason: 'Say more' } }),
            headers: { 'content-type': 'application/json' },
          }
        : {},
    );
    const slack = await slackFor({ delivery: { http: url } });
    await slack.control.command({ channel: 'C01GEN', user: 'U01ALICE', command: '/agent' });
    const command = slack.control.log({ type: 'envelope' })[0];
    const label = { type: 'plain_text', text: 'Reason' };
    await call(slack, 'views.open', {
      trigger_id: command?.type === 'envelope' ? command.payload.trigger_id : '',
      view: {
        type: 'modal',
        title: label,
        submit: label,
        blocks: [{ type: 'input', block_id: 'reason', label, element: { type: 'plain_text_input', action_id: 'r' } }],
      },
    });
    const result = await slack.control.viewSubmit({ user: 'U01ALICE', values: { Reason: 'no' } });
    expect(result).toMatchObject({
      acked: true,
      response_action: 'errors',
      errors: { reason: 'Say more' },
      closed: false,
    });
    expect(slack.control.views('U01ALICE').modals).toHaveLength(1);
  });
});
