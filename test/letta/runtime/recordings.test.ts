import { describe, expect, it } from 'vitest';
import { type TurnState, turnText } from '../../../src/bridge/turn/fold.ts';
import { historyOf, inputsOf, type Replayed, readTrace, replay, traceNames } from '../traces.ts';

interface ExpectedTurn {
  text: string;
  /** The `stop_reason`; `null` where the connection was lost before the turn ended. */
  end: string | null;
  error?: string;
  /** `tool:status` in order. */
  tools?: string[];
  asked?: string[];
  open?: string[];
}

interface Expected {
  /** Default: the file's only sockets. */
  socks?: string[];
  conversation?: string;
  turns: ExpectedTurn[];
  /** How often text was found missing. */
  repairs?: number;
}

const LOCAL = 'agent-local-b260f74e-3a07-4839-8e19-30dd923300dc';
const HOSTED = 'agent-local-f6ce1c92-ff89-490a-9378-6ac1a0dad0da';

const words = (count: number, from = 1) => Array.from({ length: count }, (_, at) => `word${from + at}`).join(' ');
const done = (text: string, more: Partial<ExpectedTurn> = {}): ExpectedTurn => ({ text, end: 'end_turn', ...more });
const stopped = (text: string, more: Partial<ExpectedTurn> = {}): ExpectedTurn => ({ text, end: 'cancelled', ...more });
const lost = (text: string, more: Partial<ExpectedTurn> = {}): ExpectedTurn => ({ text, end: null, ...more });
const failed = (end: string, error: string, text = ''): ExpectedTurn => ({ text, end, error });
const scripted = (code: number) =>
  `${code}: {"message":"scripted error ${code}","type":"scripted_error","code":"${code}"}`;

const NO_OUTPUT = 'Done: (Command completed with no output)';
const numbers = Array.from({ length: 80 }, (_, at) => at + 1);

/** Read off the recordings by hand; the files that hold no turn are listed at the end. */
const expected: Record<string, Expected | Expected[]> = {
  '02-runtime-start-existing': { socks: ['c1'], conversation: 'local-conv-2', turns: [done(words(3))] },
  '03-turn-plain': { turns: [done(words(12)), done('Hello **world**')] },
  '04-turn-reasoning': { turns: [done(words(5))] },
  '05-tool-no-approval': {
    turns: [
      done('Done: /home/user/project\n', { tools: ['Bash:ok'] }),
      done("Done: Exit code: 2\nls: cannot access '/definitely/not/here': No such file or directory\n", {
        tools: ['Bash:failed'],
      }),
    ],
  },
  '05b-text-tool-text': {
    turns: [done('Let me look.\n\nNow the list.\n\nAll done.', { tools: ['Bash:ok', 'Bash:ok'] })],
  },
  '06-approval-allow': { turns: [done('Done: made\n', { tools: ['Bash:ok'], asked: ['perm-call_12_0'] })] },
  '07-approval-deny': {
    turns: [done('Done: Not on a Friday', { tools: ['Bash:failed'], asked: ['perm-call_14_0'] })],
  },
  '07b-approval-error': {
    turns: [done('Done: approver unreachable', { tools: ['Bash:failed'], asked: ['perm-call_16_0'] })],
  },
  '08-approval-updated-input': {
    turns: [
      done('Done: The user approved the tool execution with the following comment: "use the other file"\nchanged\n', {
        tools: ['Bash:ok'],
        asked: ['perm-call_18_0'],
      }),
    ],
  },
  '09-approval-suggestion': {
    turns: [
      done(NO_OUTPUT, { tools: ['Bash:ok'], asked: ['perm-call_20_0'] }),
      done('Done: no', { tools: ['Bash:failed'], asked: ['perm-call_22_0'] }),
    ],
  },
  '10-edit-write-diffs': {
    turns: [
      done('Done: Successfully wrote 14 characters to /home/user/project/poem.txt', {
        tools: ['Write:ok'],
        asked: ['perm-call_24_0'],
      }),
      done(
        'Done: {"message":"Successfully replaced 1 occurrence in /home/user/project/poem.txt","replacements":1,"startLine":3}',
        { tools: ['Read:ok', 'Edit:ok'], asked: ['perm-call_27_0'] },
      ),
      done('Done: Successfully wrote 8 characters to /home/user/project/poem.txt', {
        tools: ['Write:ok'],
        asked: ['perm-call_29_0'],
      }),
    ],
  },
  '11-parallel-approvals': {
    turns: [
      done('Done: not the second one', {
        tools: ['Bash:ok', 'Bash:failed'],
        asked: ['perm-call_31_0', 'perm-call_31_1'],
      }),
      done(NO_OUTPUT, { tools: ['Bash:ok', 'Bash:ok', 'Bash:ok'], asked: ['perm-call_33_1'] }),
    ],
  },
  '12-ask-user-question': {
    turns: [
      done(
        'Done: User has answered your questions: "Which color?"="Blue". You can now continue with the user\'s answers in mind.',
        { tools: ['AskUserQuestion:ok'], asked: ['perm-call_35_0'] },
      ),
      done('Done: Waiting for user response...', { tools: ['AskUserQuestion:ok'], asked: ['perm-call_37_0'] }),
      done('Done: I would rather have a triangle', {
        tools: ['AskUserQuestion:failed'],
        asked: ['perm-call_39_0'],
      }),
    ],
  },
  '12b-question-unrestricted': {
    turns: [
      done(
        'Done: User has answered your questions: "Which color?"="something else entirely". You can now continue with the user\'s answers in mind.',
        { tools: ['AskUserQuestion:ok'], asked: ['perm-call_1_0'] },
      ),
    ],
  },
  '13-abort-midstream': { turns: [stopped(words(8)), done(words(3))] },
  '13b-abort-before-first-token': { turns: [stopped(''), done(words(3))] },
  '13c-abort-running-tool': {
    turns: [stopped('', { tools: ['Bash:failed'], asked: ['perm-call_45_0'] }), done(words(3))],
  },
  '14-abort-approval-pending': {
    turns: [stopped('', { tools: ['Bash:called'], asked: ['perm-call_47_0'] }), done(words(3))],
  },
  '15-queue': { turns: [done(words(12)), done('third')] },
  '15b-queue-while-approval': {
    turns: [done('typed while approval pending', { tools: ['Bash:ok'], asked: ['perm-call_51_0'] })],
  },
  '15c-queue-remove-abort': { turns: [stopped(words(17)), done('stays in the queue')] },
  '16-duplicate-client-message-id': [
    { socks: ['c1'], turns: [done('only once'), done('only once'), done(words(10))] },
    { socks: ['c2'], turns: [done('only once')] },
  ],
  '17-model-error': {
    turns: [
      failed('error', scripted(400)),
      failed('error', scripted(401)),
      failed('llm_api_error', 'terminated', 'this answer is cut'),
      done(words(3)),
    ],
  },
  '17b-model-error-500': { turns: [failed('error', scripted(500)), failed('error', scripted(429))] },
  '18-unknown-ids': [
    { socks: ['c1'], conversation: 'local-conv-26', turns: [done(words(3))] },
    { socks: ['c2'], conversation: 'local-conv-26', turns: [done(words(3))] },
  ],
  '19-malformed': { turns: [done('Echo: ')] },
  '20-disconnect-midturn': { socks: ['c1', 'c2'], turns: [lost(words(6)), done(words(3))] },
  '20b-reconnect-fast-midturn': [
    { socks: ['c1'], turns: [lost(words(10))] },
    { socks: ['c2'], turns: [done(` ${words(54, 7)}`)], repairs: 1 },
  ],
  '21-disconnect-approval': {
    socks: ['c1', 'c2'],
    turns: [lost('', { tools: ['Bash:called'], asked: ['perm-call_69_0'] }), done(words(3))],
  },
  '22-two-clients': ['c1', 'c2'].map((sock) => ({
    socks: [sock],
    turns: [done(words(4)), done(NO_OUTPUT, { tools: ['Bash:ok'], asked: ['perm-call_72_0'] })],
  })),
  '23-sync': ['c1', 'c2'].map((sock) => ({ socks: [sock], turns: [done(words(3)), done(words(20))] })),
  '24-change-mode': {
    turns: [
      done(NO_OUTPUT, { tools: ['Bash:ok'] }),
      done('Done: allowed.txt\nboth.txt\nchanged.txt\nfree.txt\nmade-dir\none.txt\npoem.txt\nq.txt\nthree.txt\n', {
        tools: ['Bash:ok'],
        asked: ['perm-call_78_0'],
      }),
      done(NO_OUTPUT, { tools: ['Bash:ok'], asked: ['perm-call_80_0'] }),
    ],
  },
  '24b-mode-omitted': {
    socks: ['c1'],
    turns: [
      done(NO_OUTPUT, { tools: ['Bash:ok'] }),
      done('Done: Successfully wrote 2 characters to /home/user/project/ae.txt', { tools: ['Write:ok'] }),
      done('Done: no', { tools: ['Bash:failed'], asked: ['perm-call_86_0'] }),
    ],
  },
  '25-image': {
    turns: [
      done('I see 1 image(s).'),
      done('Echo: '),
      failed('error', 'Failed to prepare image for model: Input buffer contains unsupported image format'),
      done('I see 2 image(s).'),
    ],
  },
  // 1300 deltas were left out of the recording, and there is no history in it to repair them from.
  '26-long-output': { turns: [], repairs: 1 },
  '26b-long-tool-output': { turns: [done(`Done: ${numbers.slice(0, 70).join('\n')}`, { tools: ['Bash:ok'] })] },
  '27-markdown': {
    turns: [
      done(
        '# Title\n\n**bold** _it_ ~~gone~~ `code` [link](https://example.com) <@U1> & < >\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```ts\nconst x = 1 < 2;\n```\n',
      ),
    ],
  },
  '28-management': { turns: [done('Done: /home/user/project\n', { tools: ['Bash:ok'] })] },
  '29-turn-options': {
    conversation: 'local-conv-41',
    turns: [
      done(
        'Done: Tool not found: AskUserQuestion. Available tools: Bash, Monitor, EnterWorktree, ExitWorktree, SetWorkingDirectory, Edit, TaskStop, memory, Read, Skill, Workflow, Task, SendAgentMessage, TaskCreate, Ta',
        { tools: ['AskUserQuestion:failed'], asked: ['perm-call_97_0'] },
      ),
      done(words(2)),
      done(words(2)),
      done(words(2)),
    ],
  },
  '30-two-conversations': ['local-conv-42', 'local-conv-43'].map((conversation) => ({
    conversation,
    turns: [done(words(8))],
  })),
  '31-subagent': {
    turns: [
      done(
        'Done: Task running in background with task ID: task_1\nAgent ID: agent-local-47e473d8-e18d-40ea-a10f-680bdf4e0a7d\nConversation ID: default\nOutput file: /home/user/tmp/task_1.log\n\nYou will be no',
        { tools: ['Agent:ok'] },
      ),
      done('Echo: ification>\nFull transcript available at: /home/user/tmp/task_1.log'),
    ],
  },
  '32-background-task': {
    turns: [
      done('Done: Command running in background with ID: bash_21\nOutput file: /home/user/tmp/bash_21.log', {
        tools: ['Bash:ok'],
      }),
      done('Echo: fication>\nFull transcript available at: /home/user/tmp/bash_21.log'),
    ],
  },
  '33-external-tool': {
    turns: [done('Done: Ada Lovelace', { tools: ['slack_lookup:ok'], asked: ['perm-call_111_0'] })],
  },
  '62-external-timeout': {
    turns: [
      done('Done: External tool execution error: External tool call timed out: t_never', { tools: ['t_never:failed'] }),
    ],
  },
  '67-external-abort': { turns: [stopped('', { tools: ['t_slow:failed'] }), done(words(2))] },
  '69-external-two-calls': {
    turns: [
      done('Done: ok t_b', { tools: ['t_a:ok', 't_b:ok'] }),
      done('Done: ok', { tools: ['t_a:ok', 't_b:ok'], asked: ['perm-call_3_0', 'perm-call_3_1'] }),
    ],
  },
  '34a-restart-tool-approval-pending': {
    socks: ['c1', 'c2'],
    turns: [lost('', { tools: ['Bash:called'], asked: ['perm-call_1_0'] }), done(words(3))],
  },
  '34b-restart-question-pending': {
    socks: ['c1', 'c2'],
    turns: [
      done(
        'Done: User has answered your questions: "Which color?"="Red". You can now continue with the user\'s answers in mind.',
        { tools: ['AskUserQuestion:ok'], asked: ['perm-call_3_0'] },
      ),
    ],
  },
  '34c-restart-midturn': { socks: ['c1', 'c2'], turns: [lost(words(9)), done(words(3))] },
  '34d-restart-tool-running': {
    socks: ['c1', 'c2'],
    turns: [lost('', { tools: ['Bash:running'], asked: ['perm-call_7_0'] }), done(words(3))],
  },
  '37-slash-command': {
    turns: [
      done(words(2)),
      done('Echo: ystem-reminder>\nMCP servers with available tools: None\n</system-reminder>\n/clear'),
    ],
  },
  '40-image-types': {
    turns: [
      ...[1, 2, 3, 4, 5, 6, 7].map((count) => done(`I see ${count} image(s).`)),
      failed('error', 'Failed to prepare image for model: Input buffer contains unsupported image format'),
      failed('error', 'Failed to prepare image for model: Input buffer contains unsupported image format'),
      ...[8, 9, 10].map((count) => done(`I see ${count} image(s).`)),
    ],
  },
  '49-files-mode': { turns: [done('Done: no', { tools: ['Bash:failed'], asked: ['perm-call_26_0'] })] },
  '80-cron-commands': {
    turns: [
      done('Echo: ory, and work until the task is done or genuinely blocked.\n\nPrompt: say: changed'),
      done(words(15)),
      done('Echo: ory, and work until the task is done or genuinely blocked.\n\nPrompt: say: changed'),
    ],
  },
  '81-cron-fires': [
    { socks: ['c1'], turns: [done('tick'), done(NO_OUTPUT, { tools: ['Bash:ok'], asked: ['perm-call_17_0'] })] },
    { socks: ['c2'], turns: [done('while away')] },
  ],
  'h27-cron-over-relay': { socks: ['c1'], turns: [done('weekly report')] },
  'h01-single-socket-sync': { turns: [done(words(5)), done(NO_OUTPUT, { tools: ['Bash:ok'] })] },
  'h02-pair-runtime-start': { socks: ['control', 'stream'], turns: [done(words(4))] },
  'h03-approval': { turns: [done('Done: ok\n', { tools: ['Bash:ok'], asked: ['perm-call_13_0'] })] },
  'h04-abort': { turns: [stopped(words(8))] },
  'h05-device-restart': { socks: ['c1', 'c2'], turns: [lost(words(7)), done(words(3))] },
  'h06-device-transport-loss': { turns: [done(words(50))] },
  'h06b-device-transport-loss-1s': { turns: [done(words(40))], repairs: 1 },
  'h07-client-transport-loss': { socks: ['c1', 'c2'], turns: [done(words(40))], repairs: 1 },
  'h08-two-runtimes-event-seq': ['local-conv-62', 'local-conv-63'].map((conversation, at) => ({
    socks: [at === 0 ? 'A' : 'B'],
    conversation,
    turns: [done(words(8))],
  })),
  'h10-redelivery': { turns: [done(words(3))] },
  'h11-approval-client-reconnect': {
    socks: ['c1', 'c2'],
    turns: [done(NO_OUTPUT, { tools: ['Bash:ok'], asked: ['perm-call_23_0'] })],
    // The new connection has not seen the run that asked, so it looks whether that run had said something.
    repairs: 1,
  },
  'h12-approval-device-restart': {
    socks: ['c1', 'c2'],
    turns: [lost('', { tools: ['Bash:called'], asked: ['perm-call_25_0'] }), done(words(3))],
  },
  'h13-device-lease-expires': { socks: ['c1', 'c2'], turns: [lost(words(6)), done(words(3))] },
  'h14-messages-post': { turns: [done(words(3))] },
  'h21-images': { turns: [done('I see 1 image(s).')] },
};

const withoutTurns = [
  '01-runtime-start-create',
  '34e-mode-after-restart',
  '35-http-and-upgrade',
  '36-auth',
  '38-heartbeat',
  '46-files-read',
  '47-files-write',
  'd40-listen-bridge-restart',
  'h00-device-side',
  'h09-rest-and-auth',
];

function play(name: string, wanted: Omit<Expected, 'turns'> = {}): Replayed {
  const lines = readTrace(name);
  const isHosted = name.startsWith('h');
  const socks = wanted.socks ?? [...new Set(lines.flatMap((line) => line.sock ?? []))];
  const agentId = isHosted || name.startsWith('34') ? HOSTED : LOCAL;
  return replay(inputsOf(lines, { socks, ordered: !isHosted }), {
    runtime: wanted.conversation ? { agentId, conversationId: wanted.conversation } : null,
    history: historyOf(lines),
  });
}

function summary(turn: TurnState): ExpectedTurn {
  return {
    text: turnText(turn),
    end: turn.end?.stopReason ?? null,
    ...(turn.error === null ? {} : { error: turn.error }),
    ...(turn.tools.length === 0 ? {} : { tools: turn.tools.map((tool) => `${tool.tool}:${tool.status}`) }),
    ...(turn.approvals.length === 0 ? {} : { asked: turn.approvals.map((approval) => approval.requestId) }),
    ...(turn.openApprovals.length === 0 ? {} : { open: [...turn.openApprovals] }),
  };
}

describe('the recordings of the real server', () => {
  it('are all listed here', () => {
    expect([...Object.keys(expected), ...withoutTurns].sort()).toEqual(traceNames());
  });

  const rows = Object.entries(expected)
    .flatMap(([name, one]) => [one].flat().map((wanted) => ({ name, wanted })))
    .filter(({ name }) => name !== '26-long-output');
  for (const { name, wanted } of rows) {
    const whose = [wanted.socks?.join('+'), wanted.conversation].filter(Boolean).join(' ');
    it(`${name}${whose ? ` (${whose})` : ''} gives the turns read off by hand`, () => {
      const { turns, repairs } = play(name, wanted);
      expect(turns.map(summary)).toEqual(wanted.turns);
      expect(repairs).toBe(wanted.repairs ?? 0);
    });
  }

  it.each(withoutTurns)('%s has no turn', (name) => {
    expect(play(name).turns).toEqual([]);
  });

  it('26-long-output ends with the known text when history cannot fill the gap', () => {
    const { turns, repairs } = play('26-long-output');
    const [turn] = turns.map(summary);
    expect(turns).toHaveLength(1);
    expect(repairs).toBe(1);
    expect(turn?.end).toBe('end_turn');
    expect(turn?.text.startsWith(words(100))).toBe(true);
    expect(turn?.text.endsWith('word1500')).toBe(true);
  });
});

describe('events from the recordings', () => {
  const eventsOf = (name: string) => play(name).events;

  it('report an error once that arrives four times', () => {
    const errors = eventsOf('17b-model-error-500').filter((event) => event.type === 'error');
    expect(errors.map((event) => event.message)).toEqual([scripted(500), scripted(429)]);
  });

  it('name the run that a retry makes void', () => {
    const retries = eventsOf('17-model-error').filter((event) => event.type === 'retrying');
    expect(retries.map(({ runId, attempt, maxAttempts, delayMs }) => [runId, attempt, maxAttempts, delayMs])).toEqual([
      ['local-run-61', 1, 3, 1000],
      ['local-run-62', 2, 3, 2000],
      ['local-run-63', 3, 3, 4000],
    ]);
  });

  it('carry the diffs of Write and Edit', () => {
    const asked = eventsOf('10-edit-write-diffs').filter((event) => event.type === 'approval-asked');
    expect(asked[1]?.request.diffs).toEqual([
      {
        kind: 'hunks',
        fileName: 'poem.txt',
        hunks: [
          {
            oldStart: 2,
            oldLines: 2,
            newStart: 2,
            newLines: 2,
            lines: [
              { type: 'context', content: 'are' },
              { type: 'remove', content: 'red' },
              { type: 'add', content: 'blue' },
            ],
          },
        ],
      },
    ]);
    expect(asked[0]?.request.suggestions).toEqual([
      { id: 'save-default', text: 'Yes, allow all writes during this session' },
    ]);
  });

  it('carry the questions of AskUserQuestion and offer no rule', () => {
    const asked = eventsOf('12-ask-user-question').find((event) => event.type === 'approval-asked');
    expect(asked?.request.suggestions).toEqual([]);
    expect(asked?.request.questions).toEqual([
      {
        question: 'Which color?',
        header: 'Choice',
        multiSelect: false,
        options: [
          { label: 'Red', description: 'pick Red' },
          { label: 'Blue', description: 'pick Blue' },
        ],
      },
    ]);
  });

  it('contain no turn for a change of mode', () => {
    const events = eventsOf('24-change-mode').filter((event) => event.type === 'loop' || event.type === 'device');
    const firstTurn = events.findIndex((event) => event.type === 'loop' && event.status === 'busy');
    expect(events.slice(0, firstTurn)).toMatchObject([
      { type: 'device', mode: 'standard' },
      { type: 'loop', status: 'idle' },
      { type: 'device', mode: 'acceptEdits' },
      { type: 'device', mode: 'unrestricted' },
    ]);
  });

  it('tie a turn of merged inputs to both messages', () => {
    const loops = eventsOf('15-queue').filter((event) => event.type === 'loop');
    expect(loops.at(-1)?.clientMessageIdsByRun).toEqual({
      'local-run-49': ['cm-q1'],
      'local-run-50': ['cm-q2', 'cm-q3'],
    });
    expect(eventsOf('15-queue').filter((event) => event.type === 'user-message')).toEqual([
      { type: 'user-message', clientMessageId: 'cm-q2', automatic: false, asked: 'say: second' },
      { type: 'user-message', clientMessageId: 'cm-q3', automatic: false, asked: 'say: third' },
    ]);
  });

  it.each(['31-subagent', '32-background-task'])(
    'count background tasks and mark their turn as automatic: %s',
    (name) => {
      const events = eventsOf(name);
      const background = events.filter((event) => event.type === 'background');
      expect(background.map(({ tasks }) => tasks.length)).toContain(1);
      expect(background.every(({ tasks }) => tasks.length <= 1)).toBe(true);
      expect(background.at(-1)).toEqual({ type: 'background', tasks: [] });
      const echoes = events.filter((event) => event.type === 'user-message');
      expect(echoes.map((event) => event.automatic)).toEqual([true]);
    },
  );

  it('hand on each response once with a pair of lanes', () => {
    const { responses } = play('h02-pair-runtime-start', { socks: ['control', 'stream'] });
    expect(responses.map((frame) => frame.type)).toEqual(['runtime_start_response', 'input_accepted', 'sync_response']);
  });

  it('repeat an open approval under its id after a reconnect', () => {
    const asked = play('h11-approval-client-reconnect', { socks: ['c1', 'c2'] }).events.filter(
      (event) => event.type === 'approval-asked',
    );
    expect(asked.map((event) => event.request.requestId)).toEqual(['perm-call_23_0', 'perm-call_23_0']);
  });

  it('drop an approval from the open ones when answered elsewhere', () => {
    const { events } = play('22-two-clients', { socks: ['c1'] });
    const open = events.filter((event) => event.type === 'approvals-open');
    expect(open.map((event) => event.requestIds)).toEqual([[], ['perm-call_72_0'], []]);
  });
});
