import { makeMessageKey } from '../../src/bridge/ids.ts';
import type { InboundMessage } from '../../src/bridge/inbound.ts';
import type { Clock } from '../../src/bridge/ports.ts';
import { systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import type { FetchLike } from '../../src/letta/hosted-api.ts';
import type { LaneDialer } from '../../src/letta/link/lane.ts';
import { createSocketDialer } from '../../src/letta/link/socket.ts';
import { createLog } from '../../src/ops/log.ts';
import type { SlackAnswer, SlackApi } from '../../src/slack/slack-api.ts';
import { openStore } from '../../src/storage/open.ts';
import { wireBridge } from '../../src/wiring.ts';

const TEAM = 'T01';
const BOT = 'U0BOT';

export interface BareBridge {
  /** Frames that came over any socket. */
  frames(): number;
  /** A person mentions the app in a channel of its own. */
  mention(number: number): Promise<void>;
  /** Calls that Slack got, by method. */
  calls: Map<string, number>;
  stop(): Promise<void>;
}

/** Everything between the ports: real sockets to a producer, a real store, and a Slack that is only an answer. */
export async function startBareBridge(port: number, database: string, clock: Clock): Promise<BareBridge> {
  const config = loadConfig({
    SLACK_BOT_TOKEN: 'xoxb-bench',
    SLACK_APP_TOKEN: 'xapp-bench',
    SLACK_ALLOWED_USERS: '*',
    SLACK_ALLOWED_CHANNELS: '*',
    LETTA_API_KEY: 'bench',
    LETTA_BASE_URL: `http://127.0.0.1:${port}`,
    LETTA_AGENT_ID: 'agent-1',
  });
  const log = createLog({ level: 'error', pretty: false, secrets: [], to: process.stderr });
  const store = await openStore(`sqlite://${database}`, { clock, log });
  const calls = new Map<string, number>();
  let frames = 0;
  const dialSocket = createSocketDialer(clock);
  const dial: LaneDialer = (endpoint, handlers) =>
    dialSocket(endpoint, {
      ...handlers,
      message(text) {
        frames += 1;
        handlers.message(text);
      },
    });
  const bridge = wireBridge({
    clock,
    random: systemRandom,
    log,
    api: answeringSlack(clock, calls),
    identity: { botUserId: BOT, enterpriseId: null },
    store: { threads: store.threads, choices: store.choices, moves: store.threads },
    dial,
    fetch: hostedRest(clock),
    target: config.letta,
    agentId: config.agentId,
    policy: config.access,
    mode: 'standard',
  });
  return {
    frames: () => frames,
    calls,
    async mention(number) {
      await bridge.intake.message(mention(number));
    },
    async stop() {
      await bridge.stop();
      await store.close();
    },
  };
}

function mention(number: number): InboundMessage {
  const channel = `C${number}`;
  const ts = `1700000000.${String(number).padStart(6, '0')}`;
  return {
    key: makeMessageKey({ team: TEAM, channel, ts }),
    team: TEAM,
    channel,
    channelKind: 'channel',
    ts,
    threadTs: null,
    user: 'U01',
    userTeam: null,
    external: false,
    spans: [
      { kind: 'user', id: BOT },
      { kind: 'text', text: ' go' },
    ],
    files: [],
    mentionsBot: true,
  };
}

const LATENCY_MS = 100;

function answeringSlack(clock: Clock, calls: Map<string, number>): SlackApi {
  let count = 0;
  return {
    async call(method, args) {
      calls.set(method, (calls.get(method) ?? 0) + 1);
      await new Promise<void>((resolve) => void clock.after(LATENCY_MS, resolve));
      if (method === 'users.info') {
        const user = { id: args.user, team_id: TEAM, name: 'alice', profile: { display_name: 'alice' } };
        return { ok: true, user } as unknown as SlackAnswer;
      }
      count += 1;
      return { ok: true, ts: args.ts ?? `1700000001.${String(count).padStart(6, '0')}` };
    },
  };
}

/** The few REST calls that come before a socket: one device, one agent, a new conversation for each thread. */
function hostedRest(clock: Clock): FetchLike {
  let conversations = 0;
  return async (url, { method }) => {
    const { pathname } = new URL(url);
    const device = { id: 'd1', deviceId: 'd1', connectionId: 'c1', connectionName: 'd1', lastHeartbeat: clock.now() };
    const answer = (): unknown => {
      if (pathname.endsWith('/messages')) return [];
      if (pathname.includes('/conversations')) {
        if (method === 'POST') conversations += 1;
        return { id: `conv-${conversations}` };
      }
      if (pathname.includes('/agents')) return [{ id: 'agent-1', name: 'agent' }];
      return pathname.endsWith('/d1') ? device : { connections: [device], hasNextPage: false };
    };
    const text = JSON.stringify(answer());
    return { status: 200, text: async () => text };
  };
}
