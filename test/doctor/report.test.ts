import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy } from '../../src/bridge/access/policy.ts';
import { type AccessFacts, accessSentence } from '../../src/doctor/access-sentence.ts';
import { listenersOf, nameOf } from '../../src/doctor/os-user.ts';
import { endingText, exitCode, type Finding, findingText, fine, short, trouble } from '../../src/doctor/report.ts';

describe('doctor’s report', () => {
  it('has one line for each finding, with its fix below', () => {
    expect(findingText(fine('clock', 'in step with Slack'))).toBe('✓ clock         in step with Slack.');
    expect(findingText(trouble('not_in_channel', { name: 'eng', channel: 'C1', bot: 'agent' }))).toBe(
      '✗ channels      The bot is not in #eng (C1).\n                → Write /invite @agent in #eng.',
    );
    expect(findingText(trouble('store_memory'))).toMatch(/^! store/);
  });

  it('ends with its result, which decides the exit code', () => {
    const ending = (...findings: Finding[]) => endingText({ ok: true, findings, access: null });
    const report = (...findings: Finding[]) => ({ ok: true, findings, access: null });
    const well = fine('clock', 'x');
    expect(ending(well)).toBe('Ready.');
    expect(endingText({ ...report(well, trouble('store_memory')), access: 'Alice can.' })).toBe(
      'Ready, with 1 remark.\nAlice can.',
    );
    expect(endingText(report(trouble('no_agent'), trouble('no_event'), well))).toBe(
      'Not ready: 2 things to fix, no remarks.',
    );
    expect(exitCode(report(well, trouble('store_memory')))).toBe(0);
    expect(exitCode(report(well, trouble('no_agent')))).toBe(1);
    expect(exitCode(report(trouble('setting', { setting: 'A', problem: 'is missing', fix: 'Set it.' })))).toBe(2);
  });

  it('shows names from outside on one short line, without control characters', () => {
    expect(short('build\n✓ agent\u001b[2J\u202ebox')).toBe('build ✓ agent [2J box');
    expect(short('x'.repeat(1_000))).toHaveLength(300);
  });
});

describe('the sentence on access', () => {
  const policy: Policy = {
    ...closedPolicy,
    users: { everyone: false, members: true, ids: ['U1', 'U2'], groups: ['S1'] },
    channels: { everywhere: false, directMessages: true, ids: ['C1', 'C2'] },
    defaults: { ...closedPolicy.defaults, permissions: 'standard' },
  };
  const facts: AccessFacts = {
    policy,
    workspace: 'Acme',
    channels: new Map([['C1', 'eng']]),
    agent: 'Builder',
    machine: 'build-box',
    user: 'deploy',
  };

  it('names people, places, agent, machine, user and approvers', () => {
    expect(accessSentence(facts)).toBe(
      'Every full member of Acme, 2 named people and the members of 1 user group can, in #eng, #C2 and direct messages, ' +
        'make the agent Builder read files and run tools on build-box, as the operating-system user deploy; the person ' +
        'who asked must approve file changes and unknown commands (standard).',
    );
  });

  it('says when no approval is needed, and when places differ', () => {
    const wide: Policy = {
      ...policy,
      channels: { everywhere: true, directMessages: false, ids: [] },
      defaults: { ...policy.defaults, permissions: 'unrestricted' },
      places: new Map([['C1', { permissions: 'strict' }]]),
    };
    const sentence = accessSentence({ ...facts, policy: wide, user: null, machine: null });
    expect(sentence).toContain('in every channel that the bot is in and direct messages, make');
    expect(sentence).toContain('run anything without asking on the machine that Letta chooses');
    expect(sentence).toContain('as the user who started letta server there; the agent asks no one first');
    expect(sentence).toMatch(/1 place has its own agent, machine or permissions\.$/);
  });

  it('counts the rules that approve without a person', () => {
    const rules = { ...policy, defaults: { ...policy.defaults, autoApprove: ['Bash(npm test)', 'WebSearch'] } };
    expect(accessSentence({ ...facts, policy: rules })).toContain(
      'unknown commands (standard), 2 rules approve without a person.',
    );
  });

  it('says that a closed policy admits no person', () => {
    expect(accessSentence({ ...facts, policy: closedPolicy })).toMatch(/^No one can, in no place/);
  });
});

describe('the user behind a port', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1194 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000 100 0 0 10 0
   1: 0100007F:1194 0100007F:8C2A 01 00000000:00000000 00:00000000 00000000  1001        0 12346 1 0000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12347 1 0000 100 0 0 10 0
`;

  it('is the one listening, not one connected', () => {
    expect(listenersOf(table, 4500)).toEqual([1000]);
    expect(listenersOf(table, 22)).toEqual([0]);
    expect(listenersOf(table, 80)).toEqual([]);
    expect(listenersOf('', 80)).toEqual([]);
  });

  it('is named as in /etc/passwd, else by number', () => {
    const passwd = 'root:x:0:0:root:/root:/bin/bash\ndeploy:x:1000:1000::/home/deploy:/bin/sh\n';
    expect(nameOf(passwd, 1000)).toBe('deploy');
    expect(nameOf(passwd, 4711)).toBe('4711');
  });
});
