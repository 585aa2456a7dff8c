import * as check from './checks.ts';
import type { Reading } from './policy.ts';

/** What devices that dial in must bring: one token for all, or one for each name. */
export type DeviceTokens = { kind: 'shared'; token: string } | { kind: 'named'; tokens: ReadonlyMap<string, string> };

export interface ListenConfig {
  mode: 'listen';
  /** A server of its own, or a path on the bridge's `PORT`, without a slash at its end. */
  at: check.ListenAddress;
  /** The address at which devices reach it, without a slash at its end; `null`: that of the server, on this machine. */
  url: string | null;
  tokens: DeviceTokens;
  /** A device id or connection name. */
  environment: string | null;
}

export type LettaConfig =
  | { mode: 'app-server'; url: string; token: string | null }
  /** `baseUrl` has no slash at its end; `environment` is a device id or connection name. */
  | {
      mode: 'cloud';
      baseUrl: string;
      apiKey: string;
      environment: string | null;
      relay: 'single' | 'pair';
      /** Letta's web app, without a slash at its end; `null`: as Letta's cloud has it. */
      webUrl: string | null;
    }
  | ListenConfig;

/** One setting for each way to an agent; exactly one of them is set. */
const WAYS = ['LETTA_API_KEY', 'LETTA_APP_SERVER_URL', 'LETTA_LISTEN'] as const;
const KEEP = {
  LETTA_API_KEY: 'LETTA_API_KEY for Letta’s cloud',
  LETTA_APP_SERVER_URL: 'LETTA_APP_SERVER_URL for your own server',
  LETTA_LISTEN: 'LETTA_LISTEN for machines that dial the bridge',
} as const;
const LISTEN_ONLY = ['LETTA_LISTEN_TOKEN', 'LETTA_LISTEN_TOKENS', 'LETTA_LISTEN_URL'] as const;

/** Which of the ways to an agent is configured, and how; `null` when something is wrong, which is reported then. */
export function readLetta(reading: Reading, readText: (path: string) => string | null): LettaConfig | null {
  const { readSetting, readWithDefault, isSet, addProblem } = reading;
  const apiKey = readSetting('LETTA_API_KEY', check.word);
  const baseUrl = readSetting('LETTA_BASE_URL', check.webUrl, readWithDefault('LETTA_BASE_URL'));
  const environment = readSetting('LETTA_ENVIRONMENT', check.anyText);
  const relay = readSetting('LETTA_RELAY', check.relayShape, readWithDefault('LETTA_RELAY'));
  const webUrl = readSetting('LETTA_WEB_URL', check.pageUrl);
  const url = readSetting('LETTA_APP_SERVER_URL', check.socketUrl);
  const token = readSetting('LETTA_APP_SERVER_TOKEN', check.word);
  const ways = WAYS.filter((name) => isSet(name));
  if (ways.length > 1) {
    const keep = ways.map((name) => KEEP[name]).join(', or ');
    addProblem(
      ways.join(' and '),
      `are ${ways.length === 2 ? 'both' : 'all'} set, but the bridge can reach the agent in only one way`,
      `Keep ${keep}, and remove the ${ways.length === 2 ? 'other' : 'others'}.`,
    );
  } else if (ways.length === 0) {
    addProblem(
      'LETTA_API_KEY, LETTA_APP_SERVER_URL or LETTA_LISTEN',
      'is missing',
      'Set LETTA_API_KEY to a key from https://app.letta.com, LETTA_APP_SERVER_URL to the address that `letta server` prints, or LETTA_LISTEN to the address at which machines dial the bridge.',
    );
  }
  const hasOwnServer = isSet('LETTA_APP_SERVER_URL');
  if (!hasOwnServer && isSet('LETTA_APP_SERVER_TOKEN')) {
    addProblem(
      'LETTA_APP_SERVER_TOKEN',
      'is set without LETTA_APP_SERVER_URL',
      'Set LETTA_APP_SERVER_URL too, or remove it.',
    );
  }
  for (const name of ['LETTA_ENVIRONMENT', 'LETTA_RELAY'] as const) {
    if (ways.length === 1 && hasOwnServer && isSet(name)) {
      addProblem(
        `${name} and LETTA_APP_SERVER_URL`,
        'exclude each other',
        `Remove ${name}: an App Server does not use it.`,
      );
    }
  }
  if (ways.length === 1 && isSet('LETTA_LISTEN') && isSet('LETTA_RELAY')) {
    addProblem('LETTA_RELAY and LETTA_LISTEN', 'exclude each other', 'Remove LETTA_RELAY: only the cloud has a relay.');
  }
  if (url && token && url.startsWith('ws://') && !check.isLoopback(new URL(url).hostname)) {
    addProblem(
      'LETTA_APP_SERVER_TOKEN and LETTA_APP_SERVER_URL',
      'would send the token over the network unencrypted',
      'Use wss://, or an App Server on this machine.',
    );
  }
  if (ways.length === 1 && !isSet('LETTA_API_KEY') && isSet('LETTA_WEB_URL')) {
    addProblem(
      'LETTA_WEB_URL',
      'is set without LETTA_API_KEY',
      'Remove it: Letta’s web app shows only agents of the cloud.',
    );
  }
  const listen = readListen(reading, readText, environment);
  if (hasOwnServer) return url === null ? null : { mode: 'app-server', url, token };
  if (isSet('LETTA_LISTEN')) return listen;
  if (apiKey === null || baseUrl === null || relay === null) return null;
  return { mode: 'cloud', baseUrl: baseUrl.replace(/\/+$/, ''), apiKey, environment, relay, webUrl };
}

function readListen(
  reading: Reading,
  readText: (path: string) => string | null,
  environment: string | null,
): ListenConfig | null {
  const { readSetting, isSet, addProblem } = reading;
  const at = readSetting('LETTA_LISTEN', check.listenShape);
  const url = readSetting('LETTA_LISTEN_URL', check.webUrl);
  const tokens = readTokens(reading, readText);
  if (!isSet('LETTA_LISTEN')) {
    for (const name of LISTEN_ONLY.filter((each) => isSet(each))) {
      addProblem(name, 'is set without LETTA_LISTEN', 'Set LETTA_LISTEN too, or remove it.');
    }
    return null;
  }
  if (at === null) return null;
  if ('path' in at && !isSet('PORT') && !isSet('SLACK_SIGNING_SECRET')) {
    addProblem(
      'LETTA_LISTEN and PORT',
      'do not fit: a path needs a port, and PORT is not set',
      'Set PORT, or set LETTA_LISTEN to a host and port, such as 127.0.0.1:4600.',
    );
  }
  if (!isSet('LETTA_LISTEN_URL') && ('path' in at || !check.isLoopback(at.host))) {
    addProblem(
      'LETTA_LISTEN_URL',
      'is missing: machines must know where to dial',
      'Set it to the https:// address of your proxy that leads to LETTA_LISTEN; for machines on this host alone, set LETTA_LISTEN to 127.0.0.1 and a port.',
    );
    return null;
  }
  const address = url === null ? null : check.addressForDevices(url, at);
  return tokens && { mode: 'listen', at, url: address, tokens, environment };
}

function readTokens(
  { readSetting, isSet, addProblem }: Reading,
  readText: (path: string) => string | null,
): DeviceTokens | null {
  const token = readSetting('LETTA_LISTEN_TOKEN', check.deviceToken);
  const file = readSetting('LETTA_LISTEN_TOKENS', check.anyText);
  if (isSet('LETTA_LISTEN_TOKEN') && isSet('LETTA_LISTEN_TOKENS')) {
    addProblem(
      'LETTA_LISTEN_TOKEN and LETTA_LISTEN_TOKENS',
      'are both set',
      'Keep LETTA_LISTEN_TOKEN for one token that all machines share, or LETTA_LISTEN_TOKENS for one token each, and remove the other.',
    );
    return null;
  }
  if (file !== null) return readTokenFile(file, readText, addProblem);
  if (isSet('LETTA_LISTEN') && !isSet('LETTA_LISTEN_TOKEN')) {
    addProblem(
      'LETTA_LISTEN_TOKEN',
      'is missing, and without it anyone could dial in as one of your machines',
      'Set it to a secret of your own, such as the output of `openssl rand -hex 32`.',
    );
  }
  return token === null ? null : { kind: 'shared', token };
}

/** `NAME TOKEN` on each line; lines that begin with `#` are comments. The texts of problems never contain a token. */
function readTokenFile(
  path: string,
  readText: (path: string) => string | null,
  addProblem: Reading['addProblem'],
): DeviceTokens | null {
  const setting = 'LETTA_LISTEN_TOKENS';
  let text: string | null;
  try {
    text = readText(path);
  } catch {
    addProblem(setting, 'names a file that cannot be read', 'Let the user of the bridge read it.');
    return null;
  }
  if (text === null) {
    addProblem(setting, 'names a file that does not exist', 'Make it: a name and its token on each line.');
    return null;
  }
  const tokens = new Map<string, string>();
  let isFine = true;
  const fail = (line: number, problem: string, fix: string) => {
    isFine = false;
    addProblem(`${setting}, line ${line + 1}`, problem, fix);
  };
  for (const [line, raw] of text.split(/\r?\n/).entries()) {
    const [name, token, more] = raw.trim().split(/\s+/);
    if (!name || name.startsWith('#')) continue;
    const wrong = check.deviceToken.safeParse(token ?? '').error?.issues[0]?.message;
    if (token === undefined || more !== undefined || !/^[\w.-]{1,60}$/.test(name)) {
      fail(
        line,
        'is not a name and a token',
        'Write the machine’s name (letters, digits, . _ -), a space and its token.',
      );
    } else if (wrong !== undefined) {
      const [problem = '', fix = ''] = wrong.split(' → ');
      fail(line, `has a token that ${problem}`, fix);
    } else if (tokens.has(name)) fail(line, 'repeats a name', 'Keep one line for each machine.');
    else if ([...tokens.values()].includes(token))
      fail(line, 'repeats a token', 'Give each machine a token of its own.');
    else tokens.set(name, token);
  }
  if (isFine && tokens.size === 0) {
    addProblem(setting, 'names a file without any token', 'Write a name and its token on each line.');
    return null;
  }
  return isFine ? { kind: 'named', tokens } : null;
}
