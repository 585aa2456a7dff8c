import type { IncomingMessage, ServerResponse } from 'node:http';
import { isObject, type JsonObject } from './model.ts';

export class BodyTooLarge extends Error {}

export async function readBody(request: IncomingMessage, max: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > max) throw new BodyTooLarge('body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Arguments of a Web API call: query, form, JSON or multipart; null when the body should be JSON and is not. */
export async function parseArguments(request: IncomingMessage, url: URL, body: Buffer): Promise<JsonObject | null> {
  const query: JsonObject = Object.fromEntries(url.searchParams);
  if (body.length === 0) return query;
  switch (mediaType(request)) {
    case 'application/json': {
      const json = parseJson(body.toString());
      return isObject(json) ? { ...query, ...json } : null;
    }
    case 'multipart/form-data': {
      const type = request.headers['content-type'] ?? '';
      const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
      const fields: JsonObject = { ...query };
      for (const [key, value] of form) fields[key] = typeof value === 'string' ? value : '[file]';
      return fields;
    }
    default:
      return { ...query, ...Object.fromEntries(new URLSearchParams(body.toString())) };
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}
