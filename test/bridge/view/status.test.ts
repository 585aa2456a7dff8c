import { describe, expect, it } from 'vitest';
import type { UserId } from '../../../src/bridge/ids.ts';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import { newRecord } from '../../../src/bridge/record/inbox.ts';
import { type StatusPlace, statusText } from '../../../src/bridge/view/status.ts';

const address = { team: 'T1', channel: 'C1', threadTs: '1.1' };
const record = newRecord(makeThreadKey({ team: 'T1', channel: 'C1', root: '1.1' }), address, 'U1' as UserId, 0);
const place: StatusPlace = {
  agentName: 'Build bot',
  model: null,
  toolsets: null,
  context: null,
  tokens: null,
  device: 'build-box',
  workingDirectory: '/srv/app',
  permissions: 'guarded',
  hasRules: false,
  otherMode: null,
};

describe('the status of a thread', () => {
  it('names the agent, its place and when it asks', () => {
    expect(statusText(record, null, place)).toBe(
      'Idle · agent **Build bot** in `/srv/app` on `build-box` · asks before everything but reads (guarded)',
    );
  });

  it('mentions rules that approve without a person', () => {
    expect(statusText(record, null, { ...place, permissions: 'strict', hasRules: true })).toMatch(
      / · asks before everything, and approves what the policy’s rules name \(strict\)$/,
    );
  });

  it('after a failed turn: has its cause, as plain words', () => {
    const failure = { for: 'U1', at: 1_700_000_000_000, line: 'The <!here> model failed. Nothing was changed.' };
    expect(statusText({ ...record, failure }, null, place).split('\n')[1]).toMatch(
      /^The last turn failed \(<!date\^1700000000\^.*\): The !here model failed\. Nothing was changed\.$/,
    );
  });

  it('hostile agent name → plain words in one line', () => {
    const shown = statusText(record, null, { ...place, agentName: '**<!here>**\n@all `x`' });
    expect(shown).not.toMatch(/[<>@\n]|`x/);
  });
});
