import { freePort } from '../../sandbox/free-port.ts';
import { startSlack } from '../../sandbox/slack/server.ts';
import { oauthSettings, redirectUrl } from '../../test/support/installing.ts';
import { median, type Row, row } from '../row.ts';
import { startLettaSide } from '../world.ts';
import { startBridgeProcess } from './bridge-process.ts';
import type { BenchDatabase } from './database.ts';
import { storeInstallations } from './installed.ts';

const RUNS = 5;
const MANY = 10_000;
const GROWTH = 1.1;

/** A process that starts with one installation stored, and with many: nothing may be read of those nobody writes in. */
export async function startRows(database: BenchDatabase): Promise<Row[]> {
  const port = await freePort();
  const slack = await startSlack({ limits: 'off', isInstalled: false, oauth: { redirectUrls: [redirectUrl(port)] } });
  const letta = await startLettaSide(slack, '');
  const settings = async (count: number) => {
    const env = { ...letta.env, ...oauthSettings(slack, port), STORE: await database.newStore() };
    const workspaces = Array.from({ length: count }, (_, n) => ({ id: `T${n}`, token: `xoxb-${n}` }));
    await storeInstallations(slack, env, workspaces);
    return env;
  };
  const timeStart = async (env: Record<string, string>) => {
    const from = performance.now();
    const bridge = await startBridgeProcess(env);
    const ms = performance.now() - from;
    await bridge.stop();
    return ms;
  };
  try {
    const [one, many] = [await settings(1), await settings(MANY)];
    const times: { one: number[]; many: number[] } = { one: [], many: [] };
    await timeStart(one);
    for (let run = 0; run < RUNS; run += 1) {
      times.one.push(await timeStart(one));
      times.many.push(await timeStart(many));
    }
    const [ofOne, ofMany] = [median(times.one), median(times.many)];
    return [
      row('start_1_installation', ofOne, 'ms'),
      row(`start_${MANY}_installations`, ofMany, 'ms'),
      row('start_installations_growth', ofMany / ofOne, 'x', GROWTH),
    ];
  } finally {
    await letta.close();
    await slack.close();
  }
}
