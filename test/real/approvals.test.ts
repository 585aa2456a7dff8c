import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type RealLetta, startRealLetta } from '../support/letta/real-letta.ts';

let letta: RealLetta;
let sandbox: Sandbox;
const lines: string[] = [];

beforeAll(async () => {
  letta = await startRealLetta('app-server');
  const env = { ...letta.env, ADMINS: 'U02BOB' };
  sandbox = await startSandbox({
    port: 0,
    limits: 'off',
    letta: 'app-server',
    env,
    log: (line) => void lines.push(line),
  });
});

afterAll(async () => {
  await sandbox?.close();
  await letta?.close();
});

class Thread {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  static async begin(text: string): Promise<Thread> {
    const said = await sandbox.slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: `@agent ${text}` });
    return new Thread(said.ts);
  }

  get shown(): string {
    return transcript(sandbox.slack, 'C01GEN', { thread: this.root, user: 'U01ALICE', bot: true });
  }

  async say(text: string): Promise<void> {
    await sandbox.slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text, thread_ts: this.root });
  }

  async seen(text: string | RegExp, count = 1): Promise<void> {
    const pattern = typeof text === 'string' ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'g') : text;
    const end = Date.now() + 60_000;
    while ((this.shown.match(new RegExp(pattern, 'g')) ?? []).length < count) {
      if (Date.now() > end) throw new Error(`never saw ${text}:\n${this.shown}\n${lines.slice(-30).join('')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Clicks the newest button, or choice of a card's menu, of that label. */
  async click(label: string, user = 'U01ALICE'): Promise<void> {
    await this.seen(new RegExp(`\\[(?:⋯ [^\\]]*)?${label}(?: \\|[^\\]]*)?\\]`));
    const messages = sandbox.slack.control.messages('C01GEN', { thread_ts: this.root, user });
    const message = messages.findLast(({ blocks }) =>
      JSON.stringify(blocks).includes(`"text":${JSON.stringify(label)}`),
    );
    await sandbox.slack.control.interact({ channel: 'C01GEN', messageTs: message?.ts ?? '', user, action: label });
  }

  async deny(reason?: string): Promise<void> {
    await this.click('Deny…');
    await this.submit(reason === undefined ? {} : { 'What should it do instead?': reason });
  }

  async submit(values: Record<string, string | string[]> = {}, user = 'U01ALICE'): Promise<void> {
    await expect.poll(() => sandbox.slack.control.views(user).modals.length, { timeout: 20_000 }).toBeGreaterThan(0);
    expect(await sandbox.slack.control.viewSubmit({ user, values })).toMatchObject({ closed: true });
  }
}

const inProject = (name: string) => join(letta.project, name);

/** Gives the conversation that was begun last the tools that Letta gives to models of that family. */
async function useToolset(toolset: string): Promise<void> {
  const socket = new WebSocket(letta.env.LETTA_APP_SERVER_URL ?? '');
  const answers: Record<string, unknown>[] = [];
  socket.on('message', (data) => void answers.push(JSON.parse(String(data)) as Record<string, unknown>));
  await once(socket, 'open');
  const ask = async (frame: Record<string, unknown>) => {
    const id = randomUUID();
    socket.send(JSON.stringify({ ...frame, request_id: id }));
    const answer = () => answers.find((each) => each.request_id === id);
    await expect.poll(answer, { timeout: 20_000 }).toMatchObject({ success: true });
    return answer();
  };
  const listed = await ask({ type: 'conversation_list', query: {} });
  const conversations = (listed?.conversations ?? []) as { id: string; agent_id: string }[];
  const number = ({ id }: { id: string }) => Number(/\d+$/.exec(id)?.[0] ?? 0);
  const newest = conversations.toSorted((a, b) => number(b) - number(a))[0];
  const runtime = { agent_id: newest?.agent_id, conversation_id: newest?.id };
  await ask({ type: 'update_toolset', runtime, toolset_preference: toolset });
  socket.close();
}

describe('approvals on the real Letta', () => {
  it('Approve: runs the command', async () => {
    const thread = await Thread.begin('run bash touch allowed.txt && echo ran it');
    await thread.click('Approve');
    await thread.seen('Done: ran it');
    expect(existsSync(inProject('allowed.txt'))).toBe(true);
  });

  it('Deny with a reason: the model reads the reason, nothing runs', async () => {
    const thread = await Thread.begin('run bash touch denied.txt');
    await thread.deny('use the tmp folder');
    await thread.seen(/Done: .*use the tmp folder/);
    expect(existsSync(inProject('denied.txt'))).toBe(false);
  });

  it('edited command: runs instead of the requested one', async () => {
    const thread = await Thread.begin('run bash touch before.txt && echo before');
    await thread.click('Edit command');
    await thread.submit({ 'Command to run': 'touch after.txt && echo after' });
    await thread.seen('Done: after');
    await thread.seen('Approved with changes');
    expect([existsSync(inProject('before.txt')), existsSync(inProject('after.txt'))]).toEqual([false, true]);
  });

  it('command approved for the turn: repeats pass, others ask', async () => {
    const thread = await Thread.begin(
      'run bash mkdir -p twice THEN run bash mkdir -p twice THEN run bash mkdir -p thrice',
    );
    await thread.click('Approve for this turn');
    await thread.seen('this exact command during this turn, allowed earlier');
    await thread.seen('mkdir -p thrice');
    await thread.deny();
    await thread.seen('Done:');
  });

  it('rule saved by an admin: the same command passes in another thread', async () => {
    const thread = await Thread.begin('run bash mkdir -p saved-rule');
    await thread.click('Always allow…', 'U02BOB');
    await thread.submit({}, 'U02BOB');
    await thread.seen('Done:');
    expect(readFileSync(inProject('.letta/settings.json'), 'utf8')).toContain('mkdir -p saved-rule');
    const other = await Thread.begin('run bash mkdir -p saved-rule');
    await other.seen('Done:');
    expect(other.shown).not.toContain('[Deny…]');
  });

  it('Write and Edit: show changed lines and their counts', async () => {
    const thread = await Thread.begin('write file poem.txt := roses are red\\nviolets are blue');
    await thread.seen('Write poem.txt? +2 −0');
    await thread.click('Approve');
    await thread.seen('Done:');
    await thread.say('edit file poem.txt := violets => tulips');
    await thread.seen('Change poem.txt? +1 −1');
    await thread.seen('-violets are blue');
    await thread.seen('+tulips are blue');
    await thread.click('Approve');
    await thread.seen('Done:', 2);
    expect(readFileSync(inProject('poem.txt'), 'utf8')).toContain('tulips are blue');
  });

  it('Codex patch: shows every file, also deletions and outside paths', async () => {
    const thread = await Thread.begin('say: ready');
    await thread.seen('ready');
    await useToolset('codex');
    const elsewhere = dirname(letta.project);
    writeFileSync(join(elsewhere, 'important.txt'), 'precious\n');
    const input = [
      ...['*** Begin Patch', '*** Add File: ok.txt', '+fine', '*** Delete File: ../important.txt'],
      ...[`*** Add File: ${elsewhere}/.ssh/authorized_keys`, '+ssh-ed25519 AAAA me', '*** End Patch'],
    ].join('\n');
    // Slack would read stars as bold.
    const call = `call ApplyPatch ${JSON.stringify({ input }).replaceAll('*', '\\u002a')}`;
    await thread.say(call);
    await thread.seen('add    ok.txt');
    await thread.seen(`delete ../important.txt (${elsewhere}/important.txt)  ⚠️ outside the working directory`);
    await thread.seen(`add    ${elsewhere}/.ssh/authorized_keys  ⚠️ outside the working directory`);
    await thread.seen('│ *** Delete File: ../important.txt');
    await thread.seen('│ +ssh-ed25519 AAAA me');
    await thread.deny();
    await thread.seen('Done:');
    expect(existsSync(join(elsewhere, 'important.txt'))).toBe(true);
    await thread.say(call);
    await thread.click('Approve');
    await thread.seen('Done:', 2);
    // What the card says is what happens.
    expect(existsSync(inProject('ok.txt'))).toBe(true);
    expect(existsSync(join(elsewhere, 'important.txt'))).toBe(false);
    expect(readFileSync(join(elsewhere, '.ssh/authorized_keys'), 'utf8')).toContain('AAAA me');
  });

  it('text that looks secret: never hides what runs', async () => {
    const mark = (side: string) => `"-----${side} PRIVATE KEY-----"`;
    const hidden = [
      `echo ${mark('BEGIN')}; touch pwned.txt; echo ${mark('END')}`,
      'echo cookie:a=$(touch pwned.txt)',
      'echo token=/../../../pwned.txt',
    ];
    for (const command of hidden) {
      const thread = await Thread.begin(`run bash ${command}`);
      await thread.seen(command);
      expect(thread.shown).not.toContain('«redacted»');
      await thread.deny();
      await thread.seen('Done:');
    }
    const thread = await Thread.begin('run bash PASSWORD=hunter2 touch approved.txt');
    await thread.seen('PASSWORD=«redacted» touch approved.txt');
    await thread.click('Review and approve');
    await expect
      .poll(() => JSON.stringify(sandbox.slack.control.views('U01ALICE').modals), { timeout: 20_000 })
      .toContain('hunter2');
    await thread.submit();
    await thread.seen('Done:');
    expect([existsSync(inProject('pwned.txt')), existsSync(inProject('approved.txt'))]).toEqual([false, true]);
  });

  it('parallel calls: ask one after another, in order', async () => {
    const thread = await Thread.begin('both touch p1.txt && echo one ;; touch p2.txt && echo two');
    await thread.seen('touch p1.txt');
    await thread.click('Approve');
    await thread.seen('touch p2.txt');
    await thread.click('Approve');
    await thread.seen('Done:');
    expect(thread.shown.match(/Approved ·/g)).toHaveLength(2);
    expect(thread.shown.indexOf('touch p1.txt')).toBeLessThan(thread.shown.indexOf('touch p2.txt'));
    expect(thread.shown).not.toContain('[Approve]');
  });

  it('two questions, one with several answers: answered in one form', async () => {
    const option = (label: string) => ({ label, description: `pick ${label}` });
    const questions = [
      { question: 'Which colors?', header: 'Colors', multiSelect: true, options: ['Red', 'Green', 'Blue'].map(option) },
      { question: 'Which size?', header: 'Size', multiSelect: false, options: ['Small', 'Large'].map(option) },
    ];
    const thread = await Thread.begin(`call AskUserQuestion ${JSON.stringify({ questions })}`);
    await thread.click('Answer…');
    await thread.submit({ bridge_choice_0: ['0', '2'], bridge_choice_1: '1' });
    await thread.seen(/Done: .*Which colors\?.*Red, Blue.*Which size\?.*Large/);
  });

  it('question: answered by a plain reply', async () => {
    const thread = await Thread.begin('ask Which color? | Red | Blue');
    await thread.seen('Which color?');
    await thread.say('turquoise');
    await thread.seen(/Done: .*turquoise/);
  });

  it('Stop while a request waits: nothing runs', async () => {
    const thread = await Thread.begin('run bash touch stopped.txt');
    await thread.seen('[Approve]');
    await thread.click('Stop');
    await thread.seen('Stopped by');
    expect(thread.shown).not.toContain('[Approve]');
    expect(existsSync(inProject('stopped.txt'))).toBe(false);
  });

  it('guarded: reads in the folder pass, outside and environment ask', async () => {
    writeFileSync(inProject('notes.txt'), 'inside the project\n');
    const inside = await Thread.begin(`read file ${inProject('notes.txt')} THEN run bash cat notes.txt`);
    await inside.seen(/Done: .*inside the project/);
    expect(inside.shown).not.toContain('[Deny…]');
    for (const directive of [
      'read file /etc/hostname',
      'run bash env',
      'run bash cat /etc/hostname',
      'run bash ls ..',
      'run bash cat .git//config',
      'read file ./.env.local',
    ]) {
      const outside = await Thread.begin(directive);
      await outside.seen('[Deny…]');
      await outside.deny();
      await outside.seen('Done:');
    }
  });

  it("guarded: the agent's own lists pass", async () => {
    const task = JSON.stringify({ subject: 'tidy up', description: 'the drawers', activeForm: 'tidying up' });
    const thread = await Thread.begin(`call TaskCreate ${task}`);
    await thread.seen(/Done: .*tidy up/);
    expect(thread.shown).not.toContain('[Deny…]');
  });

  it('guarded: relative reads beside a move ask, in either order', async () => {
    const move = `SetWorkingDirectory ${JSON.stringify({ path: '/etc' })}`;
    const read = `Bash ${JSON.stringify({ command: 'cat hostname', description: 'looks' })}`;
    for (const batch of [
      [move, read],
      [read, move],
    ]) {
      const thread = await Thread.begin(`calls ${batch.join(' ;; ')}`);
      for (const call of batch) {
        await thread.seen(call === move ? 'Move to another folder?' : 'Run this command?');
        if (call === move) expect(thread.shown).toContain('This moves the working directory');
        if (call === move) await thread.click('Approve');
        else await thread.deny();
        await thread.seen(call === move ? 'Approved ·' : 'Denied ·');
      }
      await thread.seen('Done:');
    }
  });

  it('guarded: reads after a move pass in the new folder', async () => {
    mkdirSync(inProject('inner'), { recursive: true });
    writeFileSync(inProject('inner/deep.txt'), 'deep inside\n');
    const thread = await Thread.begin(
      `call SetWorkingDirectory ${JSON.stringify({ path: 'inner' })} THEN run bash cat deep.txt`,
    );
    await thread.click('Approve');
    await thread.seen(/Done: .*deep inside/);
    expect(thread.shown.match(/Approved ·/g)).toHaveLength(1);
  });

  it('!audit: lists the decisions', async () => {
    const thread = await Thread.begin('run bash touch audited.txt');
    await thread.click('Approve');
    await thread.seen('Done:');
    await thread.say('!audit 3');
    const whispers = () =>
      sandbox.slack.control
        .messages('C01GEN', { user: 'U01ALICE' })
        .filter(({ ephemeral }) => ephemeral === 'U01ALICE');
    await expect.poll(() => whispers().at(-1)?.text ?? '', { timeout: 20_000 }).toContain('touch audited.txt');
  });
});
