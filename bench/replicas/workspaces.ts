import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../sandbox/free-port.ts';
import { startSlack, type WorkspaceOption } from '../../sandbox/slack/server.ts';
import { oauthSettings, redirectUrl } from '../../test/support/installing.ts';
import { type Row, row } from '../row.ts';
import { startLettaSide } from '../world.ts';
import { startBridgeProcess } from './bridge-process.ts';
import type { BenchDatabase } from './database.ts';
import { storeInstallations } from './installed.ts';

const MANY = 200;
const THREADS = 5;
const MEASURED_MS = 10_000;
/**
 * Something new in each of them, as of an agent that thinks and uses tools; a model that writes says more. With a word a
 * second the small Slack, which is in this process, takes more than a core before the bridge does.
 */
const WORD_MS = 10_000;
const WORDS = 300;
/** So many workspaces begin their threads at once. */
const AT_ONCE = 20;
const PATIENCE_MS = 240_000;
const LOOK_EVERY_MS = 250;

/** One process that serves one workspace, and many, each with threads in which the agent writes. */
export async function workspaceCosts(database: BenchDatabase): Promise<Row[]> {
  const [one, many] = [await measure(database, 1), await measure(database, MANY)];
  const perWorkspace = (of: (usage: Measured) => number) => (of(many) - of(one)) / (MANY - 1);
  return [
    row('cpu_1_workspace', one.cpuPerSecond, 'ms'),
    row(`cpu_${MANY}_workspaces`, many.cpuPerSecond, 'ms'),
    row('cpu_of_workspace_growth', perWorkspace(({ cpuPerSecond }) => cpuPerSecond) / one.cpuPerSecond, 'x', 1),
    row('memory_1_workspace', one.resident, 'MB'),
    row(`memory_${MANY}_workspaces`, many.resident, 'MB'),
    row(
      'memory_of_workspace',
      perWorkspace(({ resident }) => resident),
      'MB',
      3,
    ),
  ];
}

interface Measured {
  /** CPU ms in each second, all workspaces together. */
  cpuPerSecond: number;
  resident: number;
}

async function measure(database: BenchDatabase, count: number): Promise<Measured> {
  const port = await freePort();
  const workspaces = Array.from({ length: count }, (_, n): WorkspaceOption & { token: string } => {
    const suffix = lettersOf(n);
    return { id: `T02${suffix}`, suffix, token: `xoxb-${suffix}-token` };
  });
  const slack = await startSlack({
    ...{ limits: 'off', isInstalled: false, workspaces },
    oauth: { redirectUrls: [redirectUrl(port)] },
  });
  const letta = await startLettaSide(slack, '', { word: WORD_MS });
  const env = {
    ...{ ...letta.env, ...oauthSettings(slack, port) },
    ...{ STORE: await database.newStore(), SLACK_ALLOWED_CHANNELS: '*' },
  };
  await storeInstallations(slack, env, workspaces);
  const bridge = await startBridgeProcess(env);
  try {
    const left = [...workspaces];
    const beginNext = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop())
        await begin(slack.workspaces.get(next.id), next);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, beginNext));
    const [from, before] = [performance.now(), await bridge.usage()];
    await sleep(MEASURED_MS);
    const { cpuMs, resident } = await bridge.usage();
    return { cpuPerSecond: ((cpuMs - before.cpuMs) / (performance.now() - from)) * 1_000, resident };
  } finally {
    await bridge.stop();
    await letta.close();
    await slack.close();
  }
}

type Served = ReturnType<Awaited<ReturnType<typeof startSlack>>['workspaces']['get']>;

/** Resolves when the agent writes in all threads of the workspace. */
async function begin(workspace: Served, { id, suffix }: WorkspaceOption): Promise<void> {
  if (!workspace) throw new Error(`no ${id}`);
  const { control } = workspace;
  const channel = `C02ENG${suffix}`;
  for (let n = 0; n < THREADS; n += 1) {
    await control.message({ channel, user: `U01ALICE${suffix}`, text: `@agent slow ${WORDS} words` });
  }
  const writing = () => control.messages(channel).filter((message) => JSON.stringify(message).includes('word1')).length;
  // Slack and Letta are in this process, too: looks that come too often would take their time.
  for (const end = performance.now() + PATIENCE_MS; writing() < THREADS; await sleep(LOOK_EVERY_MS))
    if (performance.now() > end) throw new Error(`${writing()} of ${THREADS} threads of ${id} are answered`);
}

/** A, B … Z, AA … */
function lettersOf(n: number): string {
  return (n >= 26 ? lettersOf(Math.floor(n / 26) - 1) : '') + String.fromCharCode(65 + (n % 26));
}
