import { describe, expect, it } from 'vitest';
import type { HomeView } from '../../../src/bridge/view/home.ts';
import { homeView } from '../../../src/slack/render/home.ts';

const address = { team: 'T1', channel: 'C01GEN', threadTs: '1700000000.123456' };
const view = (change: Partial<HomeView & { kind: 'open' }> = {}): HomeView => ({
  kind: 'open',
  paused: null,
  checks: [
    { name: 'slack', ok: true, state: 'connected' },
    { name: 'letta', ok: false, state: 'letta_unreachable' },
  ],
  agents: [{ agentId: 'agent-1', device: 'build-box', workingDirectory: '/srv/app' }],
  approvals: [],
  threads: [],
  help: 'Mention <@U0BOT>.\n\n- `!help`: this',
  ...change,
});
const shown = (home: HomeView, workspace: string | null = 'https://acme.slack.com/') =>
  JSON.stringify(homeView(home, workspace));

describe('the Home tab', () => {
  it('shows the state of Slack and Letta, the agents, and help', () => {
    expect(shown(view())).toContain(':large_green_circle: slack: connected');
    expect(shown(view())).toContain(':red_circle: letta: letta_unreachable');
    expect(shown(view())).toContain('Agent agent-1 on build-box in /srv/app');
    expect(shown(view())).toContain('Mention <@U0BOT>.');
    expect(shown(view())).toContain('Nothing is running for you.');
  });

  it('links the reader’s running threads and the approvals waiting for them', () => {
    const threads = [{ address, doing: 'working' as const, queued: 2, since: 1_700_000_000_000 }];
    const approvals = [{ address, tool: 'Bash', title: './deploy --prod', askedAt: 1_700_000_000_000 }];
    const text = shown(view({ threads, approvals }));
    expect(text).toContain('<https://acme.slack.com/archives/C01GEN/p1700000000123456|thread>');
    expect(text).toContain('working since <!date^1700000000^');
    expect(text).toContain('queued (2)');
    expect(text).toContain('Bash: ./deploy --prod, asked <!date^');
    expect(text).not.toContain('Nothing is running');
  });

  it('names threads without a link when the workspace URL is unusable', () => {
    const threads = [{ address, doing: 'ending' as const, queued: 0, since: 0 }];
    for (const workspace of [null, 'javascript:alert(1)', 'https://acme.slack.com/|<!here>/'])
      expect(shown(view({ threads }), workspace)).toContain('<#C01GEN>: finishing');
    const direct = { team: 'T1', channel: 'D01ALICE', threadTs: null };
    expect(shown(view({ threads: [{ ...threads[0], address: direct } as never] }))).toContain('our direct message');
  });

  it('neutralises names and titles of agents, devices and commands', () => {
    const approvals = [{ address, tool: 'Bash', title: '*<!channel>* `x` _@here \u202e', askedAt: 0 }];
    const agents = [{ agentId: '<!here>', device: '<@U1>', workingDirectory: null }];
    const blocks = homeView(view({ approvals, agents }), null).blocks;
    const mrkdwn = JSON.stringify(blocks.filter(({ type }) => type === 'section'));
    expect(mrkdwn).toContain('&lt;!channel&gt;');
    expect(mrkdwn).not.toContain('<!channel>');
    expect(mrkdwn).not.toContain('@here');
    expect(mrkdwn).toContain('⟨U+202E⟩');
    expect(blocks.filter((block) => block.type === 'context').at(-1)).toMatchObject({
      elements: [{ type: 'plain_text' }],
    });
  });

  it('stays within Slack’s limits, and counts what it leaves out', () => {
    const threads = Array.from({ length: 500 }, () => ({ address, doing: 'working' as const, queued: 9, since: 0 }));
    const approvals = threads.map(() => ({ address, tool: 'x'.repeat(500), title: 'y'.repeat(5_000), askedAt: 0 }));
    const agents = threads.map(() => ({ agentId: 'a'.repeat(900), device: null, workingDirectory: null }));
    const { blocks } = homeView(
      view({ threads, approvals, agents, help: 'p\n\n'.repeat(300) }),
      'https://a.slack.com/',
    );
    expect(blocks.length).toBeLessThanOrEqual(100);
    for (const block of blocks)
      if ('text' in block && typeof block.text === 'object') expect(block.text.text.length).toBeLessThanOrEqual(3_000);
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
});
