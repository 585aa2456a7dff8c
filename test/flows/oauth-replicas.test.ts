import { createHmac } from 'node:crypto';
import { describe, it, type TestContext } from 'vitest';
import { freePort } from '../../sandbox/free-port.ts';
import type { SmallSlack } from '../../sandbox/slack/server.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { openFront } from '../support/front.ts';
import { InstallingBrowser, oauthSettings, redirectUrl } from '../support/installing.ts';
import { createReplicas, findHouses } from '../support/replicas.ts';
import { until } from '../support/until.ts';

const SECOND = 'T02SECOND';
const SIGNING_SECRET = '0123456789abcdef0123456789abcdef';

/** Two replicas behind one port that people install the app at, and that Slack's events come to. */
async function start(context: TestContext, server: string | null) {
  const port = await freePort();
  const events = `http://127.0.0.1:${port}/slack/events`;
  const stage = await createReplicas(context, {
    server,
    slack: {
      isInstalled: false,
      workspaces: [{ id: SECOND, suffix: 'B', name: 'Second' }],
      oauth: { redirectUrls: [redirectUrl(port)] },
      delivery: { http: events, signingSecret: SIGNING_SECRET },
    },
    env: (slack) => ({
      ...{ ...oauthSettings(slack, port), SLACK_APP_TOKEN: '', SLACK_SIGNING_SECRET: SIGNING_SECRET },
      ...{ SLACK_ALLOWED_CHANNELS: '*', PORT: '0' },
    }),
  });
  const front = await openFront({ port, portsBehind: () => stage.all.map(({ app }) => app.port) });
  context.onTestFinished(() => front.close());
  for (const name of ['a', 'b']) await stage.start(name);
  const control = () => {
    const found = stage.slack.workspaces.get(SECOND);
    if (!found) throw new Error(`no ${SECOND}`);
    return found.control;
  };
  const seen = () => transcript({ control: control() } as SmallSlack, 'C02ENGB', { user: 'U01ALICEB', bot: true });
  const say = (text: string) => control().message({ channel: 'C02ENGB', user: 'U01ALICEB', text });
  const answered = (word: string) =>
    until(
      () => seen().includes(word),
      () => `${seen()}\n${stage.all.map(({ lines }) => JSON.stringify(lines().slice(-15))).join('\n')}`,
    );
  /** An event of the workspace, as if it had been on its way before the app was installed there. */
  const deliverTo = async (replica: number) => {
    const at = Math.floor(Date.now() / 1_000);
    const body = JSON.stringify({
      ...{
        type: 'event_callback',
        team_id: SECOND,
        event_id: `Ev${replica}`,
        event: { type: 'message', team: SECOND },
      },
      authorizations: [{ team_id: SECOND, enterprise_id: null, is_enterprise_install: false }],
    });
    const signature = createHmac('sha256', SIGNING_SECRET).update(`v0:${at}:${body}`).digest('hex');
    const headers = {
      ...{ 'content-type': 'application/json', 'x-slack-request-timestamp': String(at) },
      'x-slack-signature': `v0=${signature}`,
    };
    const { app } = stage.all[replica] ?? {};
    return (await fetch(`http://127.0.0.1:${app?.port}/slack/events`, { method: 'POST', headers, body })).status;
  };
  const install = () => new InstallingBrowser().install(stage.all[0]?.app.installUrl ?? '', SECOND);
  return { ...stage, say, seen, answered, install, deliverTo };
}

describe.for(await findHouses())(
  'installed at one replica of two over HTTP, on $on',
  { concurrent: true },
  ({ server }) => {
    it('is seen at once by the other, which had no installation', async (context) => {
      const { install, say, answered, seen, deliverTo, all } = await start(context, server);
      // Both remember that the app is not installed there.
      context.expect(await Promise.all([deliverTo(0), deliverTo(1)])).toEqual([200, 200]);
      const foreign = ({ lines }: (typeof all)[number]) => JSON.stringify(lines()).includes('other_workspace');
      context.expect(all.map(foreign)).toEqual([true, true]);
      const { status, page } = await install();
      context.expect([status, page]).toEqual([200, context.expect.stringContaining('The agent is installed')]);
      for (const word of ['one', 'two', 'three', 'four']) await say(`@agent say: ${word}`);
      for (const word of ['one', 'two', 'three', 'four']) await answered(word);
      for (const word of ['one', 'four']) context.expect(seen().split(word)).toHaveLength(2);
    });

    it('uninstalled and installed again: begins anew', async (context) => {
      const { install, say, answered, slack, all } = await start(context, server);
      await install();
      await say('@agent say: first');
      await answered('first');
      slack.uninstall(SECOND);
      const left = () =>
        all.some(({ lines }) =>
          lines().some(({ workspace, msg, reason }) => workspace === SECOND && msg && reason === 'removed'),
        );
      await until(left, () => JSON.stringify(all.map(({ lines }) => lines().slice(-10))));
      context.expect((await install()).status).toBe(200);
      for (const word of ['second', 'third', 'fourth']) await say(`@agent say: ${word}`);
      for (const word of ['second', 'third', 'fourth']) await answered(word);
    });
  },
);
