import { BridgeError } from '../../errors.ts';
import type { LaneEndpoint } from './lane.ts';

export interface AppServerAddress {
  /** `ws(s)://` or `http(s)://host:port`, with or without a path. */
  url: string;
  token: string | null;
}

export interface CloudAddress {
  /** `https://api.letta.com` or another host of the same API. */
  baseUrl: string;
  apiKey: string;
  /**
   * `single`: one socket `channel=stream`; `pair`: `control` and `stream` (docs/letta-protocol.md, Ways to reach an
   * agent).
   */
  relay: 'single' | 'pair';
}

/** The one lane of an App Server. It refuses any `channel` parameter (docs/letta-protocol.md, App Server). */
export function appServerLanes({ url, token }: AppServerAddress): LaneEndpoint[] {
  const target = webSocketUrl(parseAddress('LETTA_APP_SERVER_URL', url, token !== null));
  if (target.pathname === '/') target.pathname = '/ws';
  target.searchParams.delete('channel');
  return [{ name: 'direct', url: target.href, headers: bearer(token), heartbeat: 'websocket', wantsAcks: false }];
}

/** The lanes to one runtime through the hosted relay. The first one is where requests go. */
export function cloudLanes(
  { baseUrl, apiKey, relay }: CloudAddress,
  { connectionId, agentId, conversationId }: { connectionId: string; agentId: string; conversationId: string },
): LaneEndpoint[] {
  const base = webSocketUrl(parseAddress('LETTA_BASE_URL', baseUrl, true));
  const lane = (channel: 'control' | 'stream'): LaneEndpoint => {
    const target = new URL(base);
    target.pathname = joinPath(base, `/v1/environments/${encodeURIComponent(connectionId)}/status/ws`);
    target.search = new URLSearchParams({ agentId, conversationId, channel }).toString();
    return { name: channel, url: target.href, headers: bearer(apiKey), heartbeat: 'json', wantsAcks: true };
  };
  return relay === 'pair' ? [lane('control'), lane('stream')] : [lane('stream')];
}

/** Address of a REST call of the hosted API. A slash at the end of `path` is kept, because some routes need it. */
export function restUrl(baseUrl: string, path: string, query: Record<string, string> = {}): string {
  const target = parseAddress('LETTA_BASE_URL', baseUrl, true);
  if (target.protocol === 'wss:') target.protocol = 'https:';
  if (target.protocol === 'ws:') target.protocol = 'http:';
  target.pathname = joinPath(target, path);
  target.search = new URLSearchParams(query).toString();
  return target.href;
}

/**
 * Parses and checks an address: a secret may travel unencrypted only on loopback, and must not be part of the address,
 * because logs and proxies keep addresses. Throws `config_invalid`; the text names the setting, not its value.
 */
function parseAddress(setting: string, value: string, secret: boolean): URL {
  const invalid = (why: string) =>
    new BridgeError('config_invalid', `${setting} ${why}`, { notice: `${setting} ${why}.` });
  let address: URL;
  try {
    address = new URL(value);
  } catch {
    throw invalid('is not a URL');
  }
  if (!['ws:', 'wss:', 'http:', 'https:'].includes(address.protocol)) {
    throw invalid('must begin with ws://, wss://, http:// or https://');
  }
  if (address.username !== '' || address.password !== '' || address.searchParams.has('token')) {
    throw invalid('must not contain a secret: tokens have their own setting');
  }
  const encrypted = address.protocol === 'wss:' || address.protocol === 'https:';
  if (secret && !encrypted && !isLoopback(address.hostname)) {
    throw invalid('would send its token unencrypted: use wss:// or https://');
  }
  address.hash = '';
  return address;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function webSocketUrl(address: URL): URL {
  const target = new URL(address);
  if (target.protocol === 'http:') target.protocol = 'ws:';
  if (target.protocol === 'https:') target.protocol = 'wss:';
  return target;
}

function joinPath(base: URL, path: string): string {
  return base.pathname.replace(/\/+$/, '') + path;
}

function bearer(token: string | null): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}
