import { describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../../src/bridge/agent-event.ts';
import type { ActionName } from '../../../src/bridge/inbound.ts';
import type { Recordings } from '../../../src/bridge/ports.ts';
import {
  decodeLine,
  encodeLine,
  isSameLine,
  type Line,
  type Replay,
  replayLine,
  withoutTexts,
} from '../../../src/bridge/thread/core/recording.ts';
import { NEXT_PHASES, type Phase } from '../../../src/bridge/thread/core/thread.ts';
import { createMiddle, createRunning, type Middle, type MiddleOptions, ROOT, TEAM } from '../../support/middle.ts';
import { bash, cards } from './approvals/asking-people.ts';

/** The lines of one thread; `before`: all that was known of it before each. */
interface Recorded {
  before: string;
  line: string;
  isAnew: boolean;
}

class MemoryRecordings implements Recordings {
  readonly lines: Recorded[] = [];

  add(_key: string, line: string, begin: () => string, isAnew: boolean): void {
    this.lines.push({ before: begin(), line, isAnew });
  }
}

/** Slack's being shown a view is no step. */
const known = (line: string) => line.replace(/"isViewOutdated":\w+/g, '');

/** Takes the recorded steps again: what came of them otherwise, and the phases that a turn went through. */
function replay(lines: readonly Recorded[]): { differs: string[]; phases: string[] } {
  const differs: string[] = [];
  const phases: string[] = [];
  let at: Replay | null = null;
  for (const { before, line: text, isAnew } of lines) {
    if (isAnew || at === null) at = replayLine(null, decodeLine(before)).replay;
    if (at === null) throw new Error('the recording does not begin');
    const { thread: begins, config, policy } = at;
    const line = decodeLine(text);
    const isSame = known(encodeLine({ begins, config, policy })) === known(before);
    if ('event' in line && !isSame) differs.push(`before ${text.slice(0, 200)}`);
    const done = replayLine(at, line);
    if ('event' in line && encodeLine({ ...line, effects: done.effects ?? [] }) !== encodeLine(line)) {
      differs.push(`${line.event.type}: ${done.effects?.map((effect) => effect.do)}`);
    }
    const [was, is] = [begins.live, done.replay?.thread.live];
    if (was && is && was.id === is.id && was.phase !== is.phase) phases.push(`${was.phase} ${is.phase}`);
    at = done.replay;
  }
  return { differs, phases };
}

async function click(middle: Middle, name: ActionName) {
  const card = cards(middle).findLast(({ state }) => state.state === 'open');
  const token = name === 'stop' ? middle.surface.last.live?.stop : card?.token;
  if (!token) throw new Error(`no button for ${name}`);
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
  const action = { name, token, choice: null, actor: { user: 'U01ALICE', team: TEAM }, ...where };
  await middle.intake.handleAction(action).catch(() => undefined);
  await middle.clock.settle();
}

const request: ApprovalRequest = bash('touch x');

const stories: Record<string, (middle: Middle) => Promise<void>> = {
  'an answer': async (middle) => {
    middle.connection.say('Here they are.');
    middle.connection.end();
  },
  'an approval, on a disk that fails once': async (middle) => {
    middle.connection.emit({ type: 'approval-asked', request });
    await middle.clock.settle();
    middle.threads.failing = 1;
    await click(middle, 'approve');
    await click(middle, 'approve');
    middle.connection.end();
  },
  'a Stop, with messages behind it': async (middle) => {
    await middle.write('and count them');
    await click(middle, 'stop');
    middle.connection.end('cancelled');
  },
  'messages, one too many, edited and deleted': async (middle) => {
    for (const text of ['and count them', 'and weigh them', 'and sort them']) await middle.write(text);
    const [first] = middle.record().inbox;
    if (!first) throw new Error('nothing waits');
    const about = { team: TEAM, channel: 'C01GEN', channelKind: 'channel', ts: first.ts, threadTs: ROOT } as const;
    const by = { key: first.key, user: first.user, userTeam: null, external: false } as const;
    const message = { ...about, ...by, spans: [{ kind: 'text', text: 'and count all' } as const], files: [] };
    const edited = { kind: 'edited', message: { ...message, mentionsBot: false }, mentionedBefore: false } as const;
    await middle.intake.handleRevision({ ...edited, hasAddedFiles: false });
    await middle.intake.handleRevision({ kind: 'deleted', ...about, ...by, mentionsBot: false });
    await middle.clock.settle();
    middle.connection.end();
  },
  'a lost link, and the history tells the end': async (middle) => {
    middle.connection.say('Half of ');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'Half of it, and the rest.' },
    ];
    middle.connection.ready({ reconnected: true });
  },
  'a turn of Letta’s own behind ours': async (middle) => {
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    middle.connection.say('one');
    middle.connection.end();
    await middle.clock.settle();
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    middle.connection.say('two', 'run-2', 'm-2');
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    middle.surface.gate = null;
    gate.resolve();
  },
};

describe('a recording, taken again step by step', () => {
  const seen = new Set<string>();
  for (const [name, story] of Object.entries(stories)) {
    it(`of ${name}: the same states and effects`, async () => {
      const recordings = new MemoryRecordings();
      const middle = await createRunning({ recordings, queue: { perThread: 2, total: 99 } } satisfies MiddleOptions);
      await story(middle);
      await middle.clock.advance(60_000);
      expect(recordings.lines.length).toBeGreaterThan(10);
      expect(recordings.lines.map(({ line }) => line).join('\n')).toContain('"type":"store","change":{"do":"place"');
      const { differs, phases } = replay(recordings.lines);
      expect(differs).toEqual([]);
      for (const phase of phases) seen.add(phase);
    });
  }

  it('only goes from phase to phase as the code says', () => {
    const next = (from: string, to: string) => (NEXT_PHASES[from as Phase] as readonly string[]).includes(to);
    expect([...seen].filter((each) => !next(...(each.split(' ') as [string, string])))).toEqual([]);
    expect([...seen]).toEqual(expect.arrayContaining(['running looking', 'looking ending', 'preparing running']));
  });
});

describe('a recording', () => {
  it('redacted: keeps its shapes, drops every text', async () => {
    const recordings = new MemoryRecordings();
    const middle = createMiddle({ recordings });
    await middle.write('deploy the payroll to Zurich', { files: ['salaries.xlsx'] });
    middle.connection.ready({ workingDirectory: '/srv/payroll' });
    await middle.clock.settle();
    middle.connection.begin();
    middle.connection.say('Zurich is done.');
    middle.connection.emit({ type: 'approval-asked', request: bash('cat salaries.csv') });
    await middle.clock.settle();
    const all = recordings.lines.flatMap(({ before, line }) => [before, line]);
    expect(all.join('\n')).toMatch(/payroll/);
    const copies = all.map((line) => encodeLine(withoutTexts(decodeLine(line))));
    const left = copies.join('\n').match(/.{0,40}(?:payroll|Zurich|salaries|deploy).{0,40}/gi) ?? [];
    expect(left).toEqual([]);
    const hidden = (line: string) => encodeLine(withoutTexts(decodeLine(line)));
    const redacted = recordings.lines.map((each) => ({
      ...each,
      before: hidden(each.before),
      line: hidden(each.line),
    }));
    const { phases } = replay(redacted);
    expect(phases).toEqual(replay(recordings.lines).phases);
    expect(phases.length).toBeGreaterThan(1);
    const lines = recordings.lines.map(({ line }) => decodeLine(line));
    expect(lines.every((line) => isSameLine(withoutTexts(line), line, true))).toBe(true);
    const [first, second] = lines.filter((line): line is Line & { event: object } => 'event' in line);
    if (!first || !second) throw new Error('nothing happened');
    expect(isSameLine(first, second, true)).toBe(false);
  });

  it('redacted: drops names, keys and numbers that others chose', async () => {
    const recordings = new MemoryRecordings();
    const middle = await createRunning({ recordings });
    middle.policy.defaults = { ...middle.policy.defaults, deviceCommands: 'everyone' };
    const input = {
      'payroll of Zurich': 4711,
      runs: 'deploy',
      answers: { 'Which payroll?': 'नमस्ते 🤷' },
      command: 'ls',
    };
    middle.connection.emit({ type: 'approval-asked', request: bash('ls', { input }) });
    await middle.clock.settle();
    await click(middle, 'deny');
    middle.connection.end();
    const offers = {
      skills: [{ name: 'payroll', description: 'Zurich' }],
      commands: [{ name: 'deploy', description: '', args: '' }],
    };
    middle.connection.emit({ type: 'device', mode: 'strict', workingDirectory: '/project', offers });
    await middle.clock.settle();
    middle.connection.onCommand = () => Promise.resolve({ ok: true, output: 'payroll' });
    await middle.write('!run deploy Zurich');
    await middle.write('!compact');
    const firing = { name: 'deploy to Zurich (slack-abcd1234)', at: middle.clock.now() };
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true, firing });
    await middle.clock.settle();
    const all = recordings.lines.flatMap(({ before, line }) => [before, line]);
    for (const written of ['"run":{"by":"U01ALICE","name"', '"compaction":{', 'Which payroll', 'deploy to Zurich']) {
      expect(all.join('\n')).toContain(written);
    }
    const hidden = all.map((line) => encodeLine(withoutTexts(decodeLine(line)))).join('\n');
    const left =
      hidden.match(/.{0,40}(?:payroll|Zurich|deploy"|deploy to|4711|Which|Name of|[नमस्ते🤷]).{0,40}/giu) ?? [];
    expect(left).toEqual([]);
    expect(hidden).toContain('(slack-abcd1234)');
    expect(hidden).toContain('"name":"run"');
  });

  it('of a deeply nested input: goes on', async () => {
    const recordings = new MemoryRecordings();
    const middle = await createRunning({ recordings });
    let deep: unknown = 'bottom';
    for (let level = 0; level < 9_000; level += 1) deep = [deep];
    middle.connection.emit({ type: 'approval-asked', request: bash('ls', { tool: 'Deep', input: { deep } }) });
    middle.connection.say('and on');
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.record().turn).toBeNull();
    const line = recordings.lines.find((each) => each.line.includes('bottom'))?.line ?? '';
    expect(encodeLine(decodeLine(line))).toBe(line);
    expect(encodeLine(withoutTexts(decodeLine(line)))).not.toContain('bottom');
  });

  it('holds no value of a field named like a secret', async () => {
    const recordings = new MemoryRecordings();
    const middle = await createRunning({ recordings });
    const token = `ghp_${'a1B2'.repeat(9)}`;
    const input = { token, apiKey: token, key: token, tokens: [token], password: 'correct horse' };
    middle.connection.emit({ type: 'tool-called', runId: 'run-1', callId: 'c1', tool: 'Fetch', input });
    await middle.clock.settle();
    const all = recordings.lines.flatMap(({ before, line }) => [before, line]).join('\n');
    expect(all).toContain('"tool":"Fetch","input":{"token":"«redacted»"');
    expect(all).not.toMatch(/ghp_a1B2|correct horse/);
  });

  it('holds no key that somebody wrote', async () => {
    const recordings = new MemoryRecordings();
    const middle = createMiddle({ recordings });
    const key = `ghp_${'a1B2'.repeat(9)}`;
    await middle.write(`use ${key} for it`);
    expect(recordings.lines.map(({ line }) => line).join('\n')).toContain('for it');
    expect(recordings.lines.map(({ line }) => line).join('\n')).not.toContain(key);
  });
});
