import type { KnownBlock } from '@slack/types';
import { describe, expect, it } from 'vitest';
import { makeToken } from '../../../src/bridge/ids.ts';
import type { HomeThread, HomeView } from '../../../src/bridge/view/home.ts';
import { homeView } from '../../../src/slack/render/home.ts';

const address = { team: 'T1', channel: 'C01GEN', threadTs: '1700000000.123456' };
const ACME = 'https://acme.slack.com/';
const LINK = `${ACME}archives/C01GEN/p1700000000123456`;
const thread: HomeThread = {
  address,
  question: 'is the nightly build green?',
  doing: 'working',
  queued: 0,
  since: 1_700_000_000_000,
  stop: makeToken('stop-1'),
  page: null,
  model: null,
  models: null,
};
const view = (change: Partial<HomeView & { kind: 'open' }> = {}): HomeView => ({
  kind: 'open',
  machines: null,
  paused: null,
  checks: [
    { name: 'slack', ok: true, state: 'connected' },
    { name: 'letta', ok: true, state: 'reachable' },
  ],
  agents: [{ agentId: 'agent-1', name: 'Build bot', device: 'build-box', workingDirectory: '/srv/app' }],
  approvals: [],
  waiting: [],
  threads: [],
  prompts: [{ title: 'Build', message: 'Is the nightly build green?' }],
  notifyAfter: { chosen: null, usual: 120_000, choices: [60_000, 0] },
  help: 'Mention <@U0BOT>.\n\nMore: `!commands`',
  memory: 'This agent has one memory.',
  ...change,
});
const shown = (home: HomeView, workspace: string | null = ACME) => JSON.stringify(homeView(home, workspace));
const blocksOf = (home: HomeView, workspace: string | null = ACME) => homeView(home, workspace).blocks as KnownBlock[];
const buttons = (home: HomeView) =>
  blocksOf(home).flatMap((block): object[] => {
    if (block.type === 'actions') return block.elements;
    return block.type === 'section' && block.accessory ? [block.accessory] : [];
  });

describe('the Home tab', () => {
  it('names the agent, says how to begin, and gives examples', () => {
    const text = shown(view());
    expect(text).toContain('Build bot on build-box in /srv/app');
    expect(text).not.toContain('agent-1');
    expect(text).toContain('Mention <@U0BOT>.');
    expect(text).toContain('• Is the nightly build green?');
    expect(text).toContain('Nothing is running for you.');
  });

  it('with an agent whose name is unknown shows its id', () => {
    const agents = [{ agentId: 'agent-1', name: null, device: null, workingDirectory: null }];
    expect(shown(view({ agents }))).toContain('Agent agent-1');
  });

  it('names the model of a thread, as plain words', () => {
    const text = shown(view({ threads: [{ ...thread, model: 'a/b*<!here>' }] }));
    expect(text).toContain('model a/b');
    expect(text).not.toContain('<!here>');
  });

  it('has one line for health, which names only what is broken', () => {
    expect(shown(view())).toContain('✅ Everything works');
    expect(shown(view())).not.toContain('slack');
    const checks = [
      { name: 'slack', ok: true, state: 'connected' },
      { name: 'store', ok: false, state: 'the disk is full' },
    ];
    const broken = shown(view({ checks }), null);
    expect(broken).toContain('⛔ Out of order: store (the disk is full)');
    expect(broken).not.toContain('slack');
  });

  it('shows each running thread’s question, state and age, with Open and Stop', () => {
    const home = view({ threads: [{ ...thread, queued: 2 }] });
    const text = shown(home);
    expect(text).toContain('is the nightly build green?\\nWorking since <!date^1700000000^');
    expect(text).toContain('in <#C01GEN> · queued (2)');
    expect(text).not.toContain('Nothing is running');
    expect(buttons(home)).toMatchObject([
      { type: 'button', text: { text: 'Open' }, url: LINK },
      { type: 'button', text: { text: 'Stop' }, action_id: 'bridge_stop', value: 'stop-1' },
      { type: 'static_select' },
    ]);
  });

  it('links the conversation in Letta’s web app where it has a page', () => {
    const page = 'https://chat.letta.com/chat/agent-1?conversation=conv-1';
    expect(shown(view({ threads: [{ ...thread, page }] }))).toContain(`<${page}|in Letta>`);
  });

  it('lists what waits for the reader, with Open', () => {
    const home = view({ approvals: [{ address, tool: 'Bash', title: './deploy --prod', askedAt: 1_700_000_000_000 }] });
    expect(shown(home)).toContain('Bash: ./deploy --prod\\nAsked <!date^');
    expect(buttons(home)[0]).toMatchObject({ text: { text: 'Open' }, url: LINK });
  });

  it('lists what was left in threads that sleep, with Open', () => {
    const failure = 'The model’s provider returned an error (500).';
    const left = {
      address,
      question: 'deploy <!here>',
      failure,
      ways: ['You can try again.'],
      since: 1_700_000_000_000,
    };
    const home = view({ waiting: [left, { ...left, question: '', failure: null, ways: ['You can run it.'] }] });
    expect(shown(home)).toContain('*Left for you to decide*');
    expect(shown(home)).toContain(`deploy &lt;!here&gt;\\n⚠️ ${failure} You can try again.\\nSince <!date^1700000000^`);
    expect(shown(home)).toContain('"You can run it.\\nSince <!date^1700000000^');
    expect(buttons(home)[0]).toMatchObject({ text: { text: 'Open' }, url: LINK });
  });

  it('names threads without a link when the workspace URL is unusable', () => {
    const home = view({ threads: [{ ...thread, doing: 'ending', stop: null }] });
    for (const workspace of [null, 'javascript:alert(1)', 'https://acme.slack.com/|<!here>/']) {
      expect(shown(home, workspace)).toContain('Finishing since');
      expect(shown(home, workspace)).not.toContain('"Open"');
    }
  });

  it('opens the direct message where it has no threads', () => {
    const direct = { team: 'T1', channel: 'D01ALICE', threadTs: null };
    const home = view({ threads: [{ ...thread, address: direct }] });
    expect(shown(home)).toContain('in our direct message');
    expect(buttons(home)[0]).toMatchObject({ url: `${ACME}archives/D01ALICE` });
  });

  it('offers to choose when an end notifies', () => {
    const [usual] = buttons(view());
    expect(usual).toMatchObject({
      action_id: 'bridge_notify_after',
      initial_option: { text: { text: 'As usual (after 2 min)' }, value: 'usual' },
    });
    const [never] = buttons(view({ notifyAfter: { chosen: 0, usual: 120_000, choices: [60_000, 0] } }));
    expect(never).toMatchObject({ initial_option: { text: { text: 'Never' }, value: '0' } });
    expect(buttons(view({ notifyAfter: null }))).toEqual([]);
  });

  it('neutralises names, questions and titles', () => {
    const approvals = [{ address, tool: 'Bash', title: '*<!channel>* `x` _@here \u202e', askedAt: 0 }];
    const threads = [{ ...thread, question: '<!channel> `x` @here' }];
    const prompts = [{ title: '<!here>', message: '<!here> and @channel' }];
    const agents = [{ agentId: 'a', name: '<!here>', device: '<@U1>', workingDirectory: null }];
    const checks = [{ name: '<!here>', ok: false, state: '<!channel>' }];
    const { blocks } = homeView(view({ approvals, agents, threads, prompts, checks }), null);
    const mrkdwn = JSON.stringify(blocks, (_, value) => (value?.type === 'plain_text' ? null : value));
    expect(mrkdwn).toContain('&lt;!channel&gt;');
    expect(mrkdwn).not.toMatch(/<!(?:channel|here)>|<@U1>/);
    expect(mrkdwn).not.toMatch(/@(?:here|channel)/);
    expect(mrkdwn).toContain('⟨U+202E⟩');
  });

  it('stays within Slack’s limits, and counts what it leaves out', () => {
    const threads = Array.from({ length: 500 }, () => ({ ...thread, queued: 9, question: 'q'.repeat(5_000) }));
    const approvals = threads.map(() => ({ address, tool: 'x'.repeat(500), title: 'y'.repeat(5_000), askedAt: 0 }));
    const agents = threads.map(() => ({
      agentId: 'a'.repeat(900),
      name: 'n'.repeat(900),
      device: null,
      workingDirectory: null,
    }));
    const blocks = blocksOf(view({ threads, approvals, agents, help: 'p\n\n'.repeat(300) }));
    expect(blocks.length).toBeLessThanOrEqual(100);
    for (const block of blocks) {
      if ('text' in block && typeof block.text === 'object') expect(block.text.text.length).toBeLessThanOrEqual(3_000);
      if (block.type === 'context') expect(block.elements.length).toBeLessThanOrEqual(10);
    }
    expect(JSON.stringify(blocks)).toContain('… and 485 more');
  });

  it('says who paused the agent, or why the reader is refused', () => {
    expect(shown(view({ paused: '<@U1> paused the agent.' }))).toContain('<@U1> paused the agent.');
    expect(shown({ kind: 'refused', notice: 'Guests may not.' })).toBe(
      JSON.stringify({
        type: 'home',
        blocks: [{ type: 'section', text: { type: 'mrkdwn', text: 'Guests may not.', verbatim: true } }],
      }),
    );
  });

  it('lists machines that dial in, and shows admins the command', () => {
    const list = [
      { name: 'laptop', isOnline: true },
      { name: 'build-box', isOnline: false },
    ];
    const shown = (command: string | null) => JSON.stringify(homeView(view({ machines: { list, command } }), null));
    expect(shown(null)).toContain('Machines: laptop (online), build-box (offline)');
    expect(shown(null)).not.toContain('```');
    expect(shown('LETTA_API_KEY=LETTA_LISTEN_TOKEN letta server')).toContain('LETTA_API_KEY=LETTA_LISTEN_TOKEN letta');
    expect(JSON.stringify(homeView(view({ machines: { list: [], command: null } }), null))).toContain(
      'No machine has dialled in yet',
    );
  });
});
