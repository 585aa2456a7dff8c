import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { checkLetta } from '../../src/doctor/letta.ts';
import { type Finding, findingText } from '../../src/doctor/report.ts';
import { createSocketDialer } from '../../src/letta/link/socket.ts';
import { type RealLetta, startRealLetta } from '../support/letta/real-letta.ts';
import { createMemoryLog } from '../support/log.ts';

describe.each(['app-server', 'single'] as const)('doctor at a real Letta server (%s)', (surface) => {
  let letta: RealLetta;
  beforeAll(async () => {
    letta = await startRealLetta(surface);
  }, 120_000);
  afterAll(() => letta?.close());

  it('finds it reachable, in a known version, with its agent', async () => {
    const config = loadConfig({
      SLACK_BOT_TOKEN: 'xoxb-1',
      SLACK_APP_TOKEN: 'xapp-1',
      SLACK_ALLOWED_USERS: 'members',
      SLACK_ALLOWED_CHANNELS: 'dm',
      POLICY: '',
      ...letta.env,
    });
    const findings: Finding[] = [];
    const parts = { clock: systemClock, random: systemRandom, log: createMemoryLog(), fetch };
    const found = await checkLetta(
      config,
      { ...parts, dial: createSocketDialer(systemClock) },
      (finding) => void findings.push(finding),
    );
    const text = findings.map(findingText).join('\n');
    expect(
      findings.map(({ level }) => level),
      text,
    ).toEqual(['ok', 'ok', 'ok']);
    expect(text).toContain('known to work');
    expect(found.agent).not.toBeNull();
    if (surface === 'single') expect(found.device).toMatchObject({ name: 'bridge-test', isOnline: true });
  }, 60_000);
});
