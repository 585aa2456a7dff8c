import { describe, expect, it, type TestContext } from 'vitest';
import { startSlack } from '../../../sandbox/slack/server.ts';
import { systemClock, systemRandom } from '../../../src/clock.ts';
import { createSlackApi } from '../../../src/slack/api/web-api.ts';
import { createDirectory } from '../../../src/slack/people/directory.ts';
import { createMemoryLog } from '../../support/log.ts';

const SCOPES = ['users:read', 'usergroups:read', 'channels:read', 'groups:read'];

async function open({ onTestFinished }: TestContext, scopes = SCOPES) {
  const slack = await startSlack({ scopes, limits: 'off' });
  onTestFinished(() => slack.close());
  const world = { clock: systemClock, random: systemRandom, log: createMemoryLog() };
  return createDirectory(createSlackApi({ token: slack.tokens.bot, slackApiUrl: slack.url, ...world }));
}

describe('the workspace directory', () => {
  it('finds people by handle, e-mail and id, groups by handle and id', async (context) => {
    const directory = await open(context, [...SCOPES, 'users:read.email']);
    expect(await directory.findPerson('@bob')).toEqual({ found: { id: 'U02BOB', name: 'bob' } });
    expect(await directory.findPerson('Bob')).toEqual({ found: { id: 'U02BOB', name: 'bob' } });
    expect(await directory.findPerson('cara@example.com')).toEqual({ found: { id: 'U03CARA', name: 'cara' } });
    expect(await directory.findPerson('U01ALICE')).toEqual({ found: { id: 'U01ALICE', name: 'alice' } });
    expect(await directory.findPerson('@oncall')).toEqual({ found: { id: 'S01ONCALL', name: 'On call' } });
    expect(await directory.findPerson('S01ONCALL')).toEqual({ found: { id: 'S01ONCALL', name: 'On call' } });
  });

  it('reports an unknown person or group instead of guessing', async (context) => {
    const directory = await open(context, [...SCOPES, 'users:read.email']);
    for (const word of ['@bo', 'nobody@example.com', 'U0NOBODY', 'S0NOBODY', '@']) {
      expect(await directory.findPerson(word)).toEqual({
        problem: expect.stringMatching(/no one|no person|there is no/),
      });
    }
  });

  it('refuses an e-mail address without its scope, and suggests a handle', async (context) => {
    const directory = await open(context);
    expect(await directory.findPerson('bob@example.com')).toEqual({
      problem: expect.stringContaining('use an @handle'),
    });
  });

  it('finds channels by name and id, and says where the bot is', async (context) => {
    const directory = await open(context);
    expect(await directory.findChannel('#general')).toEqual({
      found: { id: 'C01GEN', name: 'general', isMember: true },
    });
    expect(await directory.findChannel('outside')).toEqual({
      found: { id: 'C03OUT', name: 'outside', isMember: false },
    });
    expect(await directory.findChannel('C02ENG')).toEqual({ found: { id: 'C02ENG', name: 'eng', isMember: true } });
    expect(await directory.findChannel('#nowhere')).toEqual({ problem: expect.stringContaining('#nowhere') });
  });
});
