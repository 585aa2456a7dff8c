import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy } from '../../../src/bridge/access/policy.ts';
import type { ApprovalRequest } from '../../../src/bridge/agent-event.ts';
import { describeWidening, mayMoveDirectory } from '../../../src/bridge/approvals/directory-moves.ts';
import { createRunning, type Middle } from '../../support/middle.ts';
import { ask, bash, cards, click, lastCard, submit, told } from '../thread/approvals/asking-people.ts';

const HOME = '/project';
let count = 0;

function call(tool: string, input: Record<string, unknown>): ApprovalRequest {
  count += 1;
  return { ...bash(''), requestId: `perm-${count}`, callId: `call-${count}`, tool, input };
}

const cat = (path: string) => call('Bash', { command: `cat ${path}`, description: 'looks' });
const move = (path: string) => call('SetWorkingDirectory', { path });

/** Letta tells of a batch first, then asks about its calls one by one. */
async function called(middle: Middle, ...requests: ApprovalRequest[]): Promise<void> {
  for (const { callId, tool, input } of requests) {
    middle.connection.emit({ type: 'tool-called', runId: 'run-1', callId: callId ?? '', tool, input });
  }
  await middle.clock.settle();
}

async function runs(middle: Middle, { callId, tool, input }: ApprovalRequest, ok = true): Promise<void> {
  middle.connection.emit(
    { type: 'tool-started', callId: callId ?? '', tool, input },
    { type: 'tool-ended', callId: callId ?? '', ok },
  );
  await middle.clock.settle();
}

async function isIn(middle: Middle, workingDirectory: string): Promise<void> {
  middle.connection.emit({ type: 'device', mode: 'strict', workingDirectory });
  await middle.clock.settle();
}

/** Whether a request was answered without a card. */
async function passes(middle: Middle, request: ApprovalRequest): Promise<boolean> {
  await ask(middle, request);
  return middle.connection.answers.some(({ requestId }) => requestId === request.requestId);
}

const withDefaults = (change: Partial<Policy['defaults']>): Partial<Policy> => ({
  defaults: { ...closedPolicy.defaults, ...change },
});

describe('while the working directory may move', () => {
  it('a read behind an open or approved move needs approval', async () => {
    const middle = await createRunning();
    const first = move('/etc');
    await ask(middle, first);
    expect(await passes(middle, cat('passwd'))).toBe(false);
    await click(middle, 'approve', { token: cards(middle)[0]?.token ?? lastCard(middle).token });
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
    for (const request of [cat('passwd'), call('Read', { file_path: 'passwd' }), call('Bash', { command: 'ls' })]) {
      expect(await passes(middle, request)).toBe(false);
    }
  });

  it('a read before a move in the same batch needs approval', async () => {
    const middle = await createRunning();
    const batch = [cat('passwd'), move('/etc')] as const;
    await called(middle, ...batch);
    expect(await passes(middle, batch[0])).toBe(false);
  });

  it('absolute paths in the known folder pass; relative paths need approval', async () => {
    const middle = await createRunning();
    await called(middle, move('/etc'));
    expect(await passes(middle, cat(`${HOME}/notes.txt`))).toBe(true);
    expect(await passes(middle, call('Read', { file_path: `${HOME}/notes.txt` }))).toBe(true);
    expect(await passes(middle, cat('/etc/passwd'))).toBe(false);
    expect(await passes(middle, call('Glob', { pattern: '*.ts' }))).toBe(false);
    expect(await passes(middle, call('Bash', { command: 'find -name x' }))).toBe(false);
  });

  it.each(['EnterWorktree', 'ExitWorktree', 'change_directory', 'set_cwd', 'cd'])(
    '%s counts as a move',
    async (tool) => {
      const middle = await createRunning();
      await called(middle, call(tool, { action: 'keep', name: 'fix', path: '..' }));
      expect(await passes(middle, cat('notes.txt'))).toBe(false);
    },
  );

  it('a refused or failed move changes nothing', async () => {
    const refused = await createRunning();
    await ask(refused, move('/etc'));
    await click(refused, 'deny');
    expect(await passes(refused, cat('notes.txt'))).toBe(true);
    const failed = await createRunning();
    const gone = move('/nowhere');
    await called(failed, gone);
    await ask(failed, gone);
    await click(failed, 'approve');
    await runs(failed, gone, false);
    expect(await passes(failed, cat('notes.txt'))).toBe(true);
  });

  it('after the device reports the new folder, reads are judged there', async () => {
    const middle = await createRunning();
    await ask(middle, move('/srv/other'));
    await click(middle, 'approve');
    await isIn(middle, '/srv/other');
    expect(await passes(middle, cat('notes.txt'))).toBe(true);
    expect(await passes(middle, cat(`${HOME}/notes.txt`))).toBe(false);
    const system = await createRunning();
    const etc = move('/etc');
    await called(system, etc);
    await ask(system, etc);
    await click(system, 'approve');
    await isIn(system, '/etc');
    await runs(system, etc);
    expect(await passes(system, cat('passwd'))).toBe(false);
  });

  it('two moves need two reports by the device', async () => {
    const middle = await createRunning();
    const both = [move('/srv/other'), move('/etc')];
    await called(middle, ...both);
    for (const request of both) {
      await ask(middle, request);
      await click(middle, 'approve');
    }
    await isIn(middle, '/srv/other');
    expect(await passes(middle, cat('notes.txt'))).toBe(false);
  });

  it('the device moves for another reason: the open move still counts', async () => {
    const middle = await createRunning();
    await called(middle, move('/etc'));
    await isIn(middle, '/srv/other');
    expect(await passes(middle, cat('passwd'))).toBe(false);
  });

  it('rules and grants for the turn do not apply after the move', async () => {
    const middle = await createRunning({
      policy: withDefaults({ autoApprove: ['Bash(npm run *)', 'Write(**)', 'Edit(docs/**)'] }),
    });
    await ask(middle, call('MultiEdit', { file_path: 'a', edits: [] }));
    await click(middle, 'allow_edits');
    expect(await passes(middle, call('Bash', { command: 'npm run build' }))).toBe(true);
    await called(middle, move('/srv/other'));
    for (const [tool, input] of [
      ['Bash', { command: 'npm run build' }],
      ['Write', { file_path: 'a', content: '' }],
      ['Edit', { file_path: 'docs/a', old_string: 'a', new_string: 'b' }],
      ['MultiEdit', { file_path: 'b', edits: [] }],
    ] as const) {
      expect(await passes(middle, call(tool, input))).toBe(false);
    }
    expect(await passes(middle, call('Write', { file_path: `${HOME}/a`, content: '' }))).toBe(true);
  });

  it('a grant for the turn applies only in its own folder', async () => {
    const middle = await createRunning();
    await ask(middle, call('Bash', { command: 'make' }));
    await click(middle, 'allow_command');
    await ask(middle, call('Write', { file_path: 'a', content: '' }));
    await click(middle, 'allow_edits');
    await isIn(middle, '/srv/other');
    expect(await passes(middle, call('Bash', { command: 'make' }))).toBe(false);
    expect(await passes(middle, call('Write', { file_path: 'a', content: '' }))).toBe(false);
    await isIn(middle, HOME);
    expect(await passes(middle, call('Bash', { command: 'make' }))).toBe(true);
  });

  it('a move that a rule approved counts', async () => {
    const middle = await createRunning({ policy: withDefaults({ autoApprove: ['SetWorkingDirectory'] }) });
    expect(await passes(middle, move('/etc'))).toBe(true);
    expect(await passes(middle, cat('passwd'))).toBe(false);
  });

  it('a move approved before a restart still counts', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const first = move('/etc');
    await ask(middle, first);
    await click(middle, 'approve');
    await middle.restart();
    const id = middle.connections[0]?.submitted[0]?.clientMessageId ?? '';
    middle.connection.ready({
      reconnected: true,
      loop: 'busy',
      activeRunIds: ['run-1'],
      clientMessageIdsByRun: { 'run-1': [id] },
    });
    await middle.clock.settle();
    expect(await passes(middle, cat('passwd'))).toBe(false);
  });

  it('a call whose batch we missed needs approval', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const [heard, unheard] = [cat('a.txt'), cat('b.txt')];
    await called(middle, heard);
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({
      reconnected: true,
      loop: 'busy',
      activeRunIds: ['run-1'],
      clientMessageIdsByRun: { 'run-1': [id] },
    });
    await middle.clock.settle();
    expect(await passes(middle, unheard)).toBe(false);
    expect(await passes(middle, heard)).toBe(true);
  });

  it("the next turn begins with the device's folder", async () => {
    const middle = await createRunning();
    const etc = move('/srv/other');
    await called(middle, etc);
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('go on', { mention: true });
    middle.connection.begin('run-2');
    await middle.clock.settle();
    expect(await passes(middle, cat('notes.txt'))).toBe(true);
  });

  it('a worktree made by a shell counts until the device reports', async () => {
    const middle = await createRunning();
    const made = call('Bash', { command: 'git worktree add .letta/worktrees/fix' });
    await called(middle, made);
    await ask(middle, made);
    await click(middle, 'approve');
    await runs(middle, made);
    expect(await passes(middle, cat('notes.txt'))).toBe(false);
    await isIn(middle, `${HOME}/.letta/worktrees/fix`);
    expect(await passes(middle, cat('notes.txt'))).toBe(true);
  });
});

describe('the card of a move', () => {
  it('says what can run and be read in the new folder', async () => {
    const middle = await createRunning({ policy: withDefaults({ autoApprove: ['Bash(npm test)'] }) });
    await ask(middle, move('/srv/other'));
    expect(lastCard(middle)).toMatchObject({
      widens:
        'This moves the working directory: approved commands run in the new folder, files there can be read without asking, the auto_approve rules apply there.',
    });
    await ask(middle, call('Bash', { command: 'make' }));
    expect(lastCard(middle)).not.toHaveProperty('widens', expect.anything());
    await submit(middle, 'approve', []);
  });

  it('system folder: does not promise reads without asking', () => {
    const reach = { hasReads: true, hasRules: false };
    const said = (path: string) => describeWidening({ tool: 'SetWorkingDirectory', input: { path } }, reach) ?? '';
    expect(said('/etc')).not.toContain('read');
    expect(said('/srv/app')).toContain('read');
    expect(said('../../etc')).toContain('read');
  });
});

describe('movesDirectory', () => {
  it('is false for all other tools', () => {
    for (const tool of ['Bash', 'Read', 'Write', 'Task', 'LS', 'Glob', 'TodoWrite', 'slack_react', 'decide', 'mkdir']) {
      expect(mayMoveDirectory({ tool, input: { command: 'cd /tmp', path: 'worktree' } })).toBe(false);
    }
  });
});
