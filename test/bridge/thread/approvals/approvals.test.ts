import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy } from '../../../../src/bridge/access/policy.ts';
import { createMemoryLog } from '../../../support/log.ts';
import { createRunning, ROOT, THREAD } from '../../../support/middle.ts';
import { ALICE, ask, asking, BOB, bash, cards, click, lastCard, reply, submit, told } from './asking-people.ts';

const MINUTE = 60_000;
const strict = (change: Partial<Policy['defaults']> = {}): Partial<Policy> => ({
  defaults: { ...closedPolicy.defaults, permissions: 'strict', ...change },
});
const refused = (why: string) => expect.objectContaining({ result: 'refused', why });

describe('a request too long for its card', () => {
  const long = bash(`echo ${'x'.repeat(100_000)}`);

  it('Approve opens the full text; it is approved there', async () => {
    const middle = await createRunning();
    await ask(middle, long);
    const opened = await click(middle, 'approve');
    expect(opened).toMatchObject({ result: 'modal', modal: { kind: 'view_full', approves: true, page: 0 } });
    expect(opened.result === 'modal' && opened.modal.kind === 'view_full' && opened.modal.text).toContain(
      'x'.repeat(100_000),
    );
    expect(told(middle)).toEqual([]);
    expect(await click(middle, 'view_page', { page: 3 })).toMatchObject({ modal: { page: 3 } });
    expect(await submit(middle, 'approve', [])).toEqual({ result: 'decided' });
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
  });

  it('cannot be approved for the turn, edited, or saved as a rule', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ALICE], groups: [] } } });
    await ask(middle, long);
    for (const name of ['allow_command', 'edit_command', 'save_rule'] as const) {
      expect(await click(middle, name)).toEqual(refused('expired'));
    }
    expect(told(middle)).toEqual([]);
  });

  it('its pages are shown only to people with access', async () => {
    const middle = await createRunning({ users: [ALICE] });
    await ask(middle, long);
    for (const name of ['view_full', 'view_page', 'approve'] as const) {
      expect(await click(middle, name, { user: BOB })).toEqual(refused('not_allowed'));
    }
  });
});

describe('editing a command', () => {
  it('sends the changed command with the other fields, and says so', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x', { input: { command: 'touch x', timeout: 5 } }));
    expect(await click(middle, 'edit_command')).toMatchObject({ modal: { kind: 'edit_command', command: 'touch x' } });
    expect(await submit(middle, 'edit_command', ['  '])).toMatchObject({ result: 'invalid' });
    expect(await submit(middle, 'edit_command', ['touch y'])).toEqual({ result: 'decided' });
    expect(told(middle)).toEqual([{ behavior: 'allow', updatedInput: { command: 'touch y', timeout: 5 } }]);
    expect(lastCard(middle).state).toMatchObject({ decision: 'approved_with_changes', words: 'touch y' });
  });

  it('unchanged: is an approval', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    await submit(middle, 'edit_command', ['touch x\n']);
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
  });

  it('hidden secret, long command or other tool: is not offered', async () => {
    const middle = await createRunning();
    for (const request of [
      bash('curl -H "Authorization: Bearer abcdef0123456789abcdef"'),
      bash(`echo ${'x '.repeat(1_500)}`),
      bash('', { tool: 'Write', input: { file_path: 'a', content: 'b' } }),
    ]) {
      await ask(middle, { ...request, requestId: `perm-${cards(middle).length}` });
      expect(lastCard(middle)).toMatchObject({ offers: { edit: false } });
      expect(await click(middle, 'edit_command')).toEqual(refused('expired'));
    }
  });
});

describe('an approval for the turn', () => {
  it('of a command: approves this command visibly until the turn ends', async () => {
    const middle = await createRunning();
    await ask(middle, bash('npm test'));
    expect(await click(middle, 'allow_command')).toEqual({ result: 'decided' });
    await ask(middle, bash('npm test', { requestId: 'perm-2', input: { command: 'npm test', description: 'again' } }));
    expect(lastCard(middle).state).toMatchObject({ decision: 'approved', by: ALICE, via: 'grant' });
    expect(told(middle)).toEqual([{ behavior: 'allow' }, { behavior: 'allow' }]);
    await ask(middle, bash('npm test; rm -rf /', { requestId: 'perm-3' }));
    await ask(middle, bash('npm test', { requestId: 'perm-4', input: { command: 'npm test', timeout: 1 } }));
    expect(cards(middle).map(({ state }) => state.state)).toEqual(['decided', 'decided', 'open', 'open']);
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('once more');
    await middle.clock.settle();
    middle.connection.begin('run-2');
    await ask(middle, bash('npm test', { requestId: 'perm-5' }));
    expect(lastCard(middle).state).toEqual({ state: 'open' });
  });

  it('of edits: approves edits in the working directory, nothing else', async () => {
    const middle = await createRunning();
    const edit = (requestId: string, file_path: string, tool = 'Edit') =>
      bash('', { requestId, tool, input: { file_path, old_string: 'a', new_string: 'b' } });
    await ask(middle, edit('perm-1', '/project/a.ts'));
    expect(await click(middle, 'allow_command')).toEqual(refused('expired'));
    await click(middle, 'allow_edits');
    const requests = [
      edit('perm-2', '/project/src/b.ts', 'Write'),
      edit('perm-3', '/etc/passwd'),
      edit('perm-4', '/project/../x'),
      edit('perm-5', '/project/.env'),
      edit('perm-6', '~/x'),
      bash('touch x', { requestId: 'perm-7' }),
    ];
    for (const request of requests) await ask(middle, request);
    expect(cards(middle).map(({ state }) => state.state)).toEqual([
      ...['decided', 'decided', 'open', 'open', 'open', 'open', 'open'],
    ]);
  });

  it('ends when its giver may not decide any more', async () => {
    const middle = await createRunning();
    await ask(middle, bash('npm test'));
    await click(middle, 'allow_command');
    middle.policy.defaults = { ...closedPolicy.defaults, approvers: { requester: false, ids: [BOB], groups: [] } };
    await ask(middle, bash('npm test', { requestId: 'perm-2' }));
    expect(lastCard(middle)).toMatchObject({ state: { state: 'open' }, asks: [BOB] });
  });

  it('by a person who may not decide: is refused', async () => {
    const middle = await createRunning();
    await ask(middle, bash('npm test'));
    expect(await click(middle, 'allow_command', { user: BOB })).toEqual(refused('not_allowed'));
    await ask(middle, bash('npm test', { requestId: 'perm-2' }));
    expect(lastCard(middle).state).toEqual({ state: 'open' });
  });
});

describe('a rule saved at Letta', () => {
  const admins = { admins: { ids: [BOB], groups: [] } };

  it('can be saved only by admins, in a modal naming the directory', async () => {
    const middle = await createRunning({ policy: admins });
    await ask(middle, bash('cat /etc/hosts'));
    expect(lastCard(middle)).toMatchObject({ offers: { rule: true } });
    expect(await click(middle, 'save_rule')).toEqual(refused('not_allowed'));
    expect(await submit(middle, 'save_rule', [])).toEqual(refused('not_allowed'));
    expect(told(middle)).toEqual([]);
    const opened = await click(middle, 'save_rule', { user: BOB });
    expect(opened).toMatchObject({ modal: { kind: 'save_rule', directory: '/project' } });
    expect(await submit(middle, 'save_rule', [], { user: BOB })).toEqual({ result: 'decided' });
    expect(told(middle)).toEqual([{ behavior: 'allow', suggestionIds: ['save-default'] }]);
  });

  it('no admins: not offered; admin without self-approval: refused', async () => {
    const nobody = await createRunning();
    await ask(nobody, bash('cat /etc/hosts'));
    expect(lastCard(nobody)).toMatchObject({ offers: { rule: false } });
    const own = await createRunning({
      policy: {
        admins: { ids: [ALICE], groups: [] },
        ...strict({ selfApproval: false, approvers: { requester: true, ids: [BOB], groups: [] } }),
      },
    });
    await ask(own, bash('cat /etc/hosts'));
    expect(await click(own, 'save_rule')).toEqual(refused('not_allowed'));
  });
});

describe('guarded permissions', () => {
  it('read in the working directory: passes without a card, audited', async () => {
    const middle = await createRunning();
    await ask(middle, bash('', { tool: 'Read', input: { file_path: '/project/a.ts' } }));
    expect(cards(middle)).toEqual([]);
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
    expect(middle.audit.entries).toMatchObject([{ tool: 'Read', outcome: 'approved', via: 'guarded', by: null }]);
  });

  it('any other request, or strict permissions: asks', async () => {
    const middle = await createRunning();
    await ask(middle, bash('', { tool: 'Read', input: { file_path: '/etc/passwd' } }));
    expect(cards(middle)).toHaveLength(1);
    const other = await createRunning({ policy: strict() });
    await ask(other, bash('', { tool: 'Read', input: { file_path: '/project/a.ts' } }));
    expect(cards(other)).toHaveLength(1);
    expect(told(other)).toEqual([]);
  });

  it('audit write fails: asks', async () => {
    const middle = await createRunning();
    middle.audit.failing = 1;
    await ask(middle, bash('', { tool: 'Read', input: { file_path: '/project/a.ts' } }));
    expect(told(middle)).toEqual([]);
    expect(lastCard(middle).state).toEqual({ state: 'open' });
  });

  it('turn being stopped: nothing passes', async () => {
    const middle = await createRunning();
    const stop = middle.surface.last.live?.stop ?? undefined;
    await click(middle, 'stop', { token: stop });
    await ask(middle, bash('', { tool: 'Read', input: { file_path: '/project/a.ts' } }));
    expect(told(middle)).toEqual([]);
  });
});

describe('AUTO_APPROVE', () => {
  it('answers a request that a rule allows, and audits the rule', async () => {
    const middle = await createRunning({ policy: strict({ autoApprove: ['Bash(npm run *)'] }) });
    await ask(middle, bash('npm run build'));
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
    expect(middle.audit.entries).toMatchObject([{ via: 'rule', title: 'npm run build · rule Bash(npm run *)' }]);
    for (const command of ['npm run build; env', 'npm run $X', 'npm', 'npm runx', 'npm run build > /etc/x']) {
      await ask(middle, bash(command, { requestId: `perm-${command}` }));
      expect(lastCard(middle).state).toEqual({ state: 'open' });
    }
  });

  it('Stop while the audit is written: approves nothing', async () => {
    const middle = await createRunning({ policy: strict({ autoApprove: ['Bash(npm run *)'] }) });
    const stop = middle.surface.last.live?.stop;
    if (!stop) throw new Error('there is no Stop');
    const written = Promise.withResolvers<void>();
    const append = middle.audit.append.bind(middle.audit);
    middle.audit.append = async (entry) => {
      await written.promise;
      await append(entry);
    };
    await ask(middle, bash('npm run build'));
    expect(await click(middle, 'stop', { token: stop })).toEqual({ result: 'decided' });
    written.resolve();
    await middle.clock.settle();
    expect(told(middle)).toEqual([]);
    expect(cards(middle)).toEqual([]);
  });

  it('never answers a question', async () => {
    const middle = await createRunning({ policy: strict({ autoApprove: ['AskUserQuestion'] }) });
    await ask(middle, asking([{ question: 'Which?' }]));
    expect(told(middle)).toEqual([]);
  });
});

describe('an undecided request', () => {
  it('after 15 minutes: reminds its requester once, in a direct message', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    await middle.clock.advance(14 * MINUTE);
    expect(middle.surface.directs).toEqual([]);
    await middle.clock.advance(2 * MINUTE);
    expect(middle.surface.directs).toEqual([
      {
        user: ALICE,
        text: '`Bash` is waiting for a decision in <#C01GEN>: `touch x`.',
        open: expect.objectContaining({ channel: 'C01GEN', threadTs: ROOT }),
      },
    ]);
    await middle.clock.advance(120 * MINUTE);
    expect(middle.surface.directs).toHaveLength(1);
    expect(middle.surface.said).toEqual([]);
  });

  it('at half of its time: reminds those who decide, one by one', async () => {
    const policy = strict({ approvers: { requester: false, ids: [BOB, 'U03CARA'], groups: ['S01OPS'] } });
    const middle = await createRunning({ approvalTimeoutMs: 2 * 60 * MINUTE, policy });
    await ask(middle, bash('touch x'));
    await middle.clock.advance(59 * MINUTE);
    expect(middle.surface.directs.map(({ user }) => user)).toEqual([ALICE]);
    await middle.clock.advance(2 * MINUTE);
    expect(middle.surface.directs.slice(1).map(({ user }) => user)).toEqual([BOB, 'U03CARA']);
    expect(middle.surface.directs[1]?.text).toContain('Without a decision I deny it at');
  });

  it('restart between the reminders: each comes once', async () => {
    const middle = await createRunning({ approvalTimeoutMs: 2 * 60 * MINUTE, turnsDieWithLink: false });
    await ask(middle, bash('touch x'));
    await middle.clock.advance(16 * MINUTE);
    await middle.restart();
    middle.connection.ready({ loop: 'waiting_on_approval', approvals: [bash('touch x')] });
    await middle.clock.advance(20 * MINUTE);
    expect(middle.surface.directs).toHaveLength(1);
    await middle.clock.advance(30 * MINUTE);
    expect(middle.surface.directs).toHaveLength(2);
  });

  it('direct message refused: reminds in the thread', async () => {
    const middle = await createRunning();
    middle.surface.refusesDirects = true;
    await ask(middle, bash('touch x'));
    await middle.clock.advance(16 * MINUTE);
    expect(middle.surface.said.map(({ text }) => text)).toEqual([
      `<@${ALICE}> \`Bash\` is waiting for a decision above: \`touch x\`.`,
    ]);
  });

  it('time over: is denied; card and agent are told', async () => {
    const middle = await createRunning({ approvalTimeoutMs: 60 * MINUTE });
    await ask(middle, bash('touch x'));
    expect(lastCard(middle).expiresAt).toBe(middle.clock.now() + 60 * MINUTE);
    await middle.clock.advance(61 * MINUTE);
    expect(told(middle)).toEqual([{ behavior: 'deny', message: expect.stringContaining('in time') }]);
    expect(lastCard(middle).state).toMatchObject({ state: 'closed', why: 'expired' });
    expect(await click(middle, 'approve')).toEqual(refused('expired'));
    expect(middle.audit.entries).toMatchObject([{ outcome: 'expired', by: null }]);
  });

  it('time over during a restart: is denied once Letta asks again', async () => {
    const middle = await createRunning({ approvalTimeoutMs: 60 * MINUTE, turnsDieWithLink: false });
    await ask(middle, bash('touch x'));
    await middle.restart();
    await middle.clock.advance(61 * MINUTE);
    middle.connection.ready({ loop: 'waiting_on_approval', approvals: [bash('touch x')] });
    await middle.clock.settle();
    await middle.clock.advance(2 * MINUTE);
    expect(told(middle)).toEqual([{ behavior: 'deny', message: expect.stringContaining('in time') }]);
  });
});

describe('a card that Slack refuses in every form', () => {
  it('denies its request, and tells the agent and the thread', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    middle.surface.refuseCards('is_archived');
    middle.surface.refuseCards('is_archived');
    await middle.clock.settle();
    expect(told(middle)).toEqual([{ behavior: 'deny', message: expect.stringContaining('could not be shown') }]);
    expect(middle.surface.said.map(({ text }) => text)).toEqual([expect.stringContaining('could not show here')]);
    expect(lastCard(middle).state).toMatchObject({ state: 'closed', why: 'not_shown' });
    expect(middle.audit.entries).toMatchObject([{ outcome: 'not_shown' }]);
  });
});

describe('a request lost with the connection', () => {
  it('closes its card and offers its requester to ask again', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    const clientMessageId = middle.connection.submitted[0]?.clientMessageId ?? null;
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId, text: 'list the files' }];
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ reconnected: true });
    await middle.clock.advance(MINUTE);
    expect(lastCard(middle).state).toMatchObject({ state: 'closed', why: 'link_lost' });
    const offer = middle.surface.offers.at(-1);
    expect(offer?.view.buttons).toEqual(['ask_again']);
    const token = offer?.view.token;
    expect(await click(middle, 'ask_again', { token, user: BOB })).toEqual(refused('not_allowed'));
    expect(await click(middle, 'ask_again', { token })).toEqual({ result: 'decided' });
    await middle.clock.advance(MINUTE);
    expect(middle.connection.submitted.at(-1)?.content).toContain('ask again');
  });
});

describe('a message written while a request waits for its author', () => {
  it('"yes": points to the card and approves nothing', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    for (const text of ['yes', 'Ok!', 'approve', '👍', 'go ahead', 'lgtm']) {
      expect(await reply(middle, text)).toEqual({ outcome: 'yes_needs_click' });
    }
    expect(middle.surface.said.at(-1)?.text).toContain('use the buttons on the card');
    expect(told(middle)).toEqual([]);
    expect(middle.record().inbox).toEqual([]);
  });

  it('is queued and offered as the reason to deny', async () => {
    const middle = await createRunning();
    await ask(middle, bash('rm -rf build'));
    expect(await reply(middle, 'use npm run clean instead')).toEqual({ outcome: 'accepted' });
    const offer = middle.surface.offers.at(-1);
    expect(offer?.view.buttons).toEqual(['deny_with_this', 'keep_queued']);
    const token = offer?.view.token;
    expect(await click(middle, 'deny_with_this', { token, user: BOB })).toEqual(refused('not_allowed'));
    expect(await click(middle, 'deny_with_this', { token })).toEqual({ result: 'decided' });
    expect(told(middle)).toEqual([{ behavior: 'deny', message: 'use npm run clean instead' }]);
    expect(middle.record().inbox).toEqual([]);
    expect(await click(middle, 'deny_with_this', { token })).toMatchObject({ result: 'refused' });
  });

  it('write landed but reported an error: still denies with its words', async () => {
    const middle = await createRunning();
    await ask(middle, bash('rm -rf build'));
    await reply(middle, 'use npm run clean instead');
    middle.threads.failingAfter = 1;
    const token = middle.surface.offers.at(-1)?.view.token;
    await expect(click(middle, 'deny_with_this', { token })).rejects.toThrow('disk full');
    await middle.clock.settle();
    expect(told(middle)).toEqual([{ behavior: 'deny', message: 'use npm run clean instead' }]);
    expect(lastCard(middle).state.state).toBe('decided');
  });

  it('kept, or the request decided otherwise: stays queued', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    await reply(middle, 'and then touch y');
    await click(middle, 'keep_queued', { token: middle.surface.offers.at(-1)?.view.token });
    expect(middle.record().inbox).toHaveLength(1);
    await reply(middle, 'and z');
    const token = middle.surface.offers.at(-1)?.view.token;
    await click(middle, 'approve', { token: lastCard(middle).token });
    expect(await click(middle, 'deny_with_this', { token })).toEqual(refused('expired'));
    expect(middle.record().inbox).toHaveLength(2);
    expect(told(middle)).toEqual([{ behavior: 'allow' }]);
  });

  it('by a person who may not decide: is an ordinary message', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    expect(await reply(middle, 'yes', { user: BOB, mention: true })).toEqual({ outcome: 'accepted' });
    expect(middle.surface.offers).toEqual([]);
  });
});

describe('a question', () => {
  it('reply stored but reported an error: answers; its redelivery is a repeat', async () => {
    const middle = await createRunning();
    await ask(middle, asking([{ question: 'Which color?', options: ['Red', 'Blue'] }]));
    middle.threads.failingAfter = 1;
    const ts = (middle.clock.now() / 1000 + 1).toFixed(6);
    await expect(reply(middle, 'Green', { ts })).rejects.toThrow('disk full');
    expect(await reply(middle, 'Green', { ts })).toEqual({ outcome: 'repeated' });
    expect(told(middle)).toMatchObject([{ behavior: 'allow', updatedInput: { answers: { 'Which color?': 'Green' } } }]);
  });

  it('plain reply by its requester: answers, and starts no turn', async () => {
    const middle = await createRunning();
    await ask(middle, asking([{ question: 'Which color?', options: ['Red', 'Blue'] }]));
    expect(await reply(middle, 'yes')).toEqual({ outcome: 'answered' });
    const { input } = asking([{ question: 'Which color?', options: ['Red', 'Blue'] }]);
    expect(told(middle)).toEqual([
      { behavior: 'allow', updatedInput: { ...input, answers: { 'Which color?': 'yes' } } },
    ]);
    expect(middle.record().inbox).toEqual([]);
    expect(lastCard(middle).state).toMatchObject({ decision: 'answered', via: 'reply' });
  });

  it('reply written before the question: is a prompt', async () => {
    const middle = await createRunning();
    const ts = ((middle.clock.now() - 5_000) / 1000).toFixed(6);
    await ask(middle, asking([{ question: 'Which color?', options: ['Red', 'Blue'] }]));
    expect(await reply(middle, 'and then the tests', { ts })).toEqual({ outcome: 'accepted' });
    expect(told(middle)).toEqual([]);
    expect(middle.record().inbox).toHaveLength(1);
  });

  it('reply found long after it was written: is offered', async () => {
    const middle = await createRunning({ staleAfterMs: 15 * MINUTE, now: 1_000_000 });
    await ask(middle, asking([{ question: 'Which color?', options: ['Red', 'Blue'] }]));
    const ts = ((middle.clock.now() + 1_000) / 1000).toFixed(6);
    await middle.clock.advance(60 * MINUTE);
    await reply(middle, 'Red', { ts, caughtUp: true });
    expect(told(middle)).toEqual([]);
    expect(middle.record().offers).toMatchObject([{ kind: 'run_held', for: ALICE }]);
  });

  it('reply by another person: is a prompt', async () => {
    const middle = await createRunning();
    await ask(middle, asking([{ question: 'Which color?' }]));
    expect(await reply(middle, 'Red', { user: BOB, mention: true })).toEqual({ outcome: 'accepted' });
    expect(told(middle)).toEqual([]);
  });

  it('several questions or choices: answered in one complete form', async () => {
    const middle = await createRunning();
    const request = asking([
      { question: 'Which?', options: ['A', 'B', 'C'], multiSelect: true },
      { question: 'How?', options: ['Fast', 'Slow'] },
      { question: 'Why?' },
    ]);
    await ask(middle, request);
    expect(await click(middle, 'answer', { choice: { question: 0, options: [0] } })).toEqual(refused('expired'));
    expect(await click(middle, 'answer_in_words')).toMatchObject({ modal: { questions: request.questions } });
    const wrong = await submit(middle, 'answer_in_words', ['', 'Both', ' '], { choices: [[], [0], []] });
    expect(wrong).toEqual({
      result: 'invalid',
      errors: [
        { input: 0, text: 'Choose or write an answer.' },
        { input: 1, text: 'Choose an option or write an answer, not both.' },
        { input: 2, text: 'Choose or write an answer.' },
      ],
    });
    expect(told(middle)).toEqual([]);
    await submit(middle, 'answer_in_words', ['D too', '', 'because'], { choices: [[0, 2, 0], [1], []] });
    const answers = { 'Which?': 'A, C, D too', 'How?': 'Slow', 'Why?': 'because' };
    expect(told(middle)).toEqual([{ behavior: 'allow', updatedInput: { ...request.input, answers } }]);
  });

  it('Approve and its variants: refused', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ALICE], groups: [] } } });
    await ask(middle, asking([{ question: 'Which?', options: ['A'] }]));
    for (const name of ['approve', 'allow_command', 'allow_edits', 'edit_command', 'save_rule'] as const) {
      expect(await click(middle, name)).toMatchObject({ result: 'refused' });
    }
    for (const name of ['approve', 'edit_command', 'save_rule'] as const) {
      expect(await submit(middle, name, ['x'])).toMatchObject({ result: 'refused' });
    }
    expect(told(middle)).toEqual([]);
  });
});

describe('!approve and !deny', () => {
  it('decide a request by its id, only for people who may', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    const id = lastCard(middle).token.slice(0, 8);
    await middle.write(`!approve ${id}`, { user: BOB, mention: true });
    await middle.write('!approve nonsense');
    await middle.write('!approve');
    expect(told(middle)).toEqual([]);
    await middle.write(`!deny ${id} use the tmp folder`);
    expect(told(middle)).toEqual([{ behavior: 'deny', message: 'use the tmp folder' }]);
    expect(middle.surface.whispered.at(-1)?.text).toBe('Denied.');
    await middle.write(`!approve ${id}`);
    expect(told(middle)).toHaveLength(1);
  });
});

describe('the audit', () => {
  it('has each request once, with requester, decider, way and outcome', async () => {
    const middle = await createRunning();
    await ask(middle, bash('touch x'));
    await click(middle, 'approve');
    await ask(middle, bash('touch y', { requestId: 'perm-2' }));
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    await middle.clock.settle();
    await ask(middle, bash('touch z', { requestId: 'perm-3' }));
    middle.connection.end('error');
    await middle.clock.settle();
    expect(middle.audit.entries).toMatchObject([
      { title: 'touch x', requester: ALICE, by: ALICE, via: 'click', outcome: 'approved', thread: THREAD },
      { title: 'touch y', by: null, outcome: 'answered_elsewhere' },
      { title: 'touch z', by: null, outcome: 'turn_over' },
    ]);
    await middle.restart();
    await middle.clock.advance(MINUTE);
    expect(middle.audit.entries).toHaveLength(3);
  });

  it('write fails: is written later, also after a restart', async () => {
    const log = createMemoryLog();
    const middle = await createRunning({ log });
    await ask(middle, bash('touch x'));
    middle.audit.failing = 5;
    await click(middle, 'approve');
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.audit.entries).toEqual([]);
    const message = 'could not write an approval to the audit';
    expect(log.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message, fields: expect.objectContaining({ request: 'perm-1' }) }),
    );
    middle.audit.failing = 0;
    await middle.restart();
    expect(middle.audit.entries).toMatchObject([{ title: 'touch x', outcome: 'approved' }]);
  });

  it('!audit: shows admins all, others the requests they could decide', async () => {
    const middle = await createRunning({ policy: { admins: { ids: ['U03CARA'], groups: [] } } });
    await ask(middle, bash('touch x'));
    await click(middle, 'approve');
    const read = async (user: string) => {
      await middle.write('!audit', { user, mention: true });
      return middle.surface.whispered.at(-1)?.text;
    };
    expect(await read(ALICE)).toContain('`touch x`');
    expect(await read('U03CARA')).toContain(`approved by <@${ALICE}>`);
    expect(await read(BOB)).toBe('No requests yet.');
  });
});
