import { describe, expect, it } from 'vitest';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { runDoctor } from '../../src/doctor/doctor.ts';
import { findingText } from '../../src/doctor/report.ts';
import { createSocketDialer } from '../../src/letta/link/socket.ts';
import { readManifest } from '../../src/manifest/file.ts';
import { createMemoryLog } from '../support/log.ts';
import { until } from '../support/until.ts';
import { MARKED, startWhole, type Whole } from '../support/whole.ts';

const CHANNEL = 'C01GEN';

/** Everything that anybody could see: people in Slack, whoever reads the log, the metrics, the health, doctor's report. */
async function seen(whole: Whole): Promise<Record<string, string>> {
  const { control } = whole.slack;
  const world = { clock: systemClock, random: systemRandom, log: createMemoryLog() };
  const lines: string[] = [];
  const report = await runDoctor({
    ...world,
    loadConfig: () => loadConfig(whole.env),
    manifest: readManifest(),
    fetch: globalThis.fetch,
    dial: createSocketDialer(systemClock),
    channel: CHANNEL,
    connectMs: 5_000,
    waits: { eventMs: 5_000, clickMs: 0 },
    onFinding: (finding) => void lines.push(findingText(finding)),
    onPosted: () => undefined,
  });
  const calls = control.log().filter((entry) => entry.type === 'call');
  return {
    log: whole.logged.join(''),
    metrics: await whole.get('/metrics'),
    readyz: await whole.get('/readyz'),
    healthz: await whole.get('/healthz'),
    doctor: JSON.stringify(report) + lines.join('\n') + JSON.stringify(world.log.lines),
    // What was said to Slack, with the arguments of every call; the token itself travels in a header.
    slack: JSON.stringify(calls.map(({ method, args }) => [method, args])),
    home: JSON.stringify(control.views('U01ALICE')),
  };
}

describe('secrets of the settings', () => {
  it('appear in no log, Slack call, metric, health check or doctor report', async (context) => {
    const scopes = readManifest().oauth_config.scopes.bot;
    const whole = await startWhole(context, { slack: { scopes } });
    const { control } = whole.slack;
    const ask = async (text: string, user = 'U01ALICE') => {
      const { ts } = await control.message({ channel: CHANNEL, user, text });
      const shown = () => transcript(whole.slack, CHANNEL, { thread: ts, bot: true });
      return { ts, shown };
    };
    const said = await ask('@agent say 20 words');
    await until(() => said.shown().includes('word20'), said.shown);
    // An approval, a failing call of Slack's, a lost socket on either side, a refusal, a command, the Home tab.
    const card = await ask('@agent run bash touch x');
    await until(() => card.shown().includes('[Approve]'), card.shown);
    await control.faults({ method: 'chat.update', kind: 'html' });
    const message = control
      .messages(CHANNEL, { thread_ts: card.ts })
      .find(({ blocks }) => JSON.stringify(blocks).includes('Approve'));
    await control.interact({ user: 'U01ALICE', channel: CHANNEL, messageTs: message?.ts ?? '', action: 'Approve' });
    await until(() => card.shown().includes('Done:'), card.shown);
    await control.faults({ socket: 'close' });
    const back = () => whole.logged.join('').split('Slack socket connected').length > 2;
    await until(
      () => back() && control.state().connections.length > 0,
      () => whole.logged.slice(-20).join(''),
    );
    const cut = await ask('@agent slow 40 words');
    await until(() => cut.shown().includes('word1'), cut.shown);
    whole.letta.addFault({ kind: 'close' });
    await until(() => !cut.shown().includes('[Stop]'), cut.shown);
    await ask('@agent hello', 'U04GUEST');
    await control.command({ channel: CHANNEL, user: 'U01ALICE', command: '/agent', text: 'status' });
    await control.openHome({ user: 'U01ALICE', tab: 'home' });
    await control.faults({ method: 'users.info', kind: 'ok_false', error: 'invalid_auth' });
    await ask('@agent say 3 words', 'U02BOB');
    await until(
      () => whole.logged.join('').includes('user_is_guest'),
      () => 'the guest was not refused',
    );

    const places = await seen(whole);
    expect(Object.keys(places).filter((name) => places[name] === '')).toEqual([]);
    expect(places.log).toContain('inbound event');
    expect(places.log).toContain('"level":"debug"');
    expect(places.slack).toContain('word20');
    const hunted = [...Object.values(MARKED), 'MARKED-'];
    for (const [place, text] of Object.entries(places)) {
      for (const secret of hunted) expect(text.includes(secret), `${secret} in ${place}`).toBe(false);
    }
    // Addresses of Slack's sockets hold tickets.
    expect(places.log).not.toMatch(/ticket=[^[]/);
    // What people and the agent say is not the log's business.
    expect(places.log).not.toContain('word20');
    expect(places.log).not.toContain('touch x');
  });
});
