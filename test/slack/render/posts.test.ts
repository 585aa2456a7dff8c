import type { KnownBlock } from '@slack/types';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { validateMessageBlocks } from '../../../sandbox/slack/validate/message.ts';
import type { FileDiff } from '../../../src/bridge/agent-event.ts';
import { shownRequest } from '../../../src/bridge/approvals/shown.ts';
import { makeToken, makeTurnId } from '../../../src/bridge/ids.ts';
import type { ApprovalState, Ending } from '../../../src/bridge/record/thread-record.ts';
import { moment } from '../../../src/bridge/text/moment.ts';
import { PLAN_TOOL } from '../../../src/bridge/turn/steps.ts';
import type { Activity, ApprovalCard, Card, QuestionCard, TurnView, ViewItem } from '../../../src/bridge/view/turn.ts';
import { RESUMING } from '../../../src/bridge/words/activity.ts';
import { parseActionId, parseMenuValue, parseMoreValue } from '../../../src/slack/render/action-ids.ts';
import { neutralizePlain } from '../../../src/slack/render/neutralize.ts';
import { noticePosts } from '../../../src/slack/render/notice.ts';
import type { SlackPost } from '../../../src/slack/render/post.ts';
import { createRenderer, renderPosts as renderAll } from '../../../src/slack/render/posts.ts';
import { simplerPosts } from '../../../src/slack/render/simpler.ts';
import { runs } from '../../support/runs.ts';
import { anyText, markdownText, pingsIn } from './markdown-arbitrary.ts';

const stop = makeToken('stopTOKEN');
const token = makeToken('cardTOKEN');
const live = (activity: Activity = { kind: 'writing' }): Partial<TurnView> => ({
  live: { activity, stop, queued: 0 },
  ending: null,
});
const over = (ending: Partial<Ending> = {}): Partial<TurnView> => ({
  live: null,
  ending: { outcome: 'done', by: null, line: null, tools: 3, durationMs: 42_000, ...ending },
});
const text = (markdown: string): ViewItem => ({ kind: 'text', markdown });
const shown = (input: Record<string, unknown>, diffs: FileDiff[] = []) =>
  shownRequest({ requestId: 'r', callId: null, tool: 'Bash', input, diffs, suggestions: [], questions: null });
const approval = (change: Partial<ApprovalCard> = {}): ViewItem => ({
  kind: 'card',
  card: {
    kind: 'approval',
    token,
    tool: 'Bash',
    title: 'touch x',
    shown: shown({ command: 'touch x', description: 'makes x' }),
    asks: ['U01ALICE'],
    workingDirectory: '/home/agent',
    device: null,
    startsAgent: null,
    offers: { edit: true, grant: 'command', rule: false },
    stop,
    expiresAt: null,
    state: { state: 'open' },
    ...change,
  },
});
const question = (change: Partial<QuestionCard> = {}): ViewItem => ({
  kind: 'card',
  card: {
    kind: 'question',
    token,
    title: 'Which colour?',
    questions: [
      {
        question: 'Which colour?',
        header: 'Colour',
        multiSelect: false,
        options: [
          { label: 'Red', description: 'warm' },
          { label: 'Blue', description: 'cold' },
        ],
      },
    ],
    asks: ['U01ALICE'],
    stop,
    expiresAt: null,
    state: { state: 'open' },
    ...change,
  },
});
function view(items: ViewItem[], change: Partial<TurnView>): TurnView {
  const address = { team: 'T01SANDBOX', channel: 'C01GEN', threadTs: '1.000001' };
  return { turn: makeTurnId('abc'), address, notPassedOn: [], items, live: null, ending: null, ...change };
}

/** The posts of a view that Slack has nothing of yet. */
const renderPosts = (...of: Parameters<typeof renderAll>) => renderAll(...of).filter((post) => !post.isEditOnly);
const parts = (posts: SlackPost[]) => posts.map(({ part }) => part);
const types = (post: SlackPost | undefined) => post?.blocks.map(({ type }) => type);
const all = (post: SlackPost | undefined) => JSON.stringify(post?.blocks);
function buttons(post: SlackPost | undefined) {
  const elements = (post?.blocks ?? []).flatMap((block: KnownBlock) =>
    block.type === 'actions' ? block.elements : [],
  );
  return elements.filter(({ type }) => type !== 'overflow') as {
    action_id: string;
    value: string;
    style?: string;
    text: { text: string };
    accessibility_label: string;
  }[];
}

/** The labels of a card's menu, and what they mean. */
function more(post: SlackPost | undefined) {
  const menus = (post?.blocks ?? []).flatMap((block) => (block.type === 'actions' ? block.elements : []));
  return menus.flatMap((menu) =>
    menu.type === 'overflow' ? menu.options.map(({ text, value }) => [text.text, parseMoreValue(value ?? '')]) : [],
  );
}

/** The words of a card's first line of rich text; a person by the id. */
function headOf(post: SlackPost | undefined): string {
  const [head] = post?.blocks ?? [];
  const [line] = head?.type === 'rich_text' ? head.elements : [];
  const elements = line?.type === 'rich_text_section' ? line.elements : [];
  return elements.map((each) => (each.type === 'text' ? each.text : each.type === 'user' ? each.user_id : '')).join('');
}

describe("the agent's own list", () => {
  const todo = Array.from({ length: 30 }, (_, index) => ({
    text: index === 9 ? 'fix lock.ts <!here>' : `item ${index + 1}`,
    status: index < 9 ? ('completed' as const) : ('pending' as const),
  }));
  const live = { live: { activity: { kind: 'thinking' as const }, stop: null, queued: 0 } };

  it('is a checklist while the turn runs, around the current item', () => {
    const [post] = renderPosts(view([], { ...live, todo }));
    validateMessageBlocks(post?.blocks ?? []);
    const plan = post?.blocks.find(({ type }) => type === 'plan');
    expect(plan).toMatchObject({ title: '10 of 30 · fix lock.ts <!here>' });
    expect(JSON.stringify(plan)).toContain('"title":"item 12","status":"pending"');
    expect(JSON.stringify(plan)).not.toContain('item 5"');
  });

  it('is lines where Slack refuses checklists, without a ping', () => {
    const [post] = renderPosts(view([], { ...live, todo }));
    const [lines] = post ? simplerPosts(post, 'unplanned') : [];
    expect(types(lines)).not.toContain('plan');
    expect(all(lines)).toContain('✓ item 9\\n◦ fix lock.ts');
    expect(all(lines)).toContain('"type":"plain_text"');
    for (const form of ['smaller', 'mrkdwn'] as const)
      for (const simpler of post ? simplerPosts(post, form) : []) expect(types(simpler)).not.toContain('plan');
  });

  it('is one line once the turn is over', () => {
    const done = todo.map((item) => ({ ...item, status: 'completed' as const }));
    expect(all(renderPosts(view([text('Hi')], { ...over(), todo: done }))[0])).toContain('✓ 30 of 30 done');
    const left = all(renderPosts(view([text('Hi')], { ...over(), todo }))[0]);
    expect(left).toContain('"9 of 30 done"');
    expect(left).not.toContain('fix lock.ts');
  });
});

describe('a turn with somebody to notify', () => {
  it('repeats how the answer begins, as words and without its pings', () => {
    const conclusion =
      '## Nightly\n\nThe **nightly build** is red since <!channel> yesterday, `store/lock.test.ts` fails on it';
    const [, note] = renderPosts(
      view([text('Hi')], { ...over({ notify: 'U01ALICE', durationMs: 480_000 }), conclusion }),
    );
    const words =
      '✅ Done in 8 min: Nightly The nightly build is red since &lt;!channel&gt; yesterday, store/lock.test.ts…';
    expect(note?.text).toBe(words);
    expect(all(note)).toContain(`<@U01ALICE> ${words}`);
    const [, bare] = renderPosts(view([text('Hi')], over({ notify: 'U01ALICE', outcome: 'failed' })));
    expect(bare?.text).toBe('⚠️ Failed after 42 s');
  });

  it('ends with one more message that mentions only them', () => {
    const posts = renderPosts(
      view([text('Hi <@U02BOB>')], over({ notify: 'U01ALICE', by: 'U02BOB', outcome: 'stopped' })),
    );
    expect(posts.map(({ kind }) => kind)).toEqual(['text', 'note']);
    expect(all(posts[1])).toContain('<@U01ALICE> ⛔ Stopped after 42 s');
    expect(all(posts[1])).not.toContain('U02BOB');
    validateMessageBlocks(posts[1]?.blocks ?? []);
    expect(renderPosts(view([text('Hi')], over()))).toHaveLength(1);
  });
});

describe('the verbosity of a turn', () => {
  const tools: TurnView['tools'] = {
    earlier: 2,
    lines: [
      { tool: 'Bash', detail: 'echo <!channel> `x`', status: 'ok' },
      { tool: 'Read', detail: 'a.ts', status: 'running' },
    ],
  };

  it('verbose shows a line for each tool', () => {
    const [running] = renderPosts(view([text('Hi')], { ...live(), verbosity: 'verbose', tools }));
    expect(types(running)).toEqual(['markdown', 'context', 'context', 'actions']);
    expect(JSON.stringify(running?.blocks[1])).toMatch(/2 earlier.n✓ Bash: echo .*n▸ Read: a.ts/);
    validateMessageBlocks(running?.blocks ?? []);
    const [done] = renderPosts(view([text('Hi')], { ...over(), verbosity: 'verbose', tools }));
    expect(types(done)).toEqual(['markdown', 'context', 'context']);
  });

  it('quiet shows the answer only, and failures without figures', () => {
    const [done] = renderPosts(view([text('Hi')], { ...over(), verbosity: 'quiet' }));
    expect(types(done)).toEqual(['markdown']);
    const [silent] = renderPosts(view([], { ...over(), verbosity: 'quiet' }));
    expect(all(silent)).toContain('The agent had nothing to say');
    expect(all(silent)).not.toContain('42 s');
    const [figures] = renderPosts(view([], over()));
    expect(all(figures)).toContain('The agent had nothing to say · 3 tools · 42 s');
    const [failed] = renderPosts(
      view([text('Hi')], { ...over({ outcome: 'failed', line: 'oh no' }), verbosity: 'quiet' }),
    );
    expect(all(failed)).toContain('oh no');
    expect(all(failed)).not.toContain('42 s');
  });

  it('counts thoughts, and sums exploring steps up in one line', () => {
    expect(all(renderPosts(view([], over({ thoughts: 3 })))[0])).toContain('3 thoughts · 3 tools · 42 s');
    const looking = live({ kind: 'looking', steps: 4, detail: 'a.ts' });
    expect(all(renderPosts(view([], looking))[0])).toContain('Looking around: 4 steps · a.ts');
  });
});

describe('a running turn', () => {
  it('shows its activity and a Stop button before there is text', () => {
    const [post, ...others] = renderPosts(view([], live({ kind: 'tool', tool: 'Bash', detail: 'npm test <!here>' })));
    expect(others).toEqual([]);
    expect(post).toMatchObject({ part: '0.0', kind: 'text', live: true });
    expect(types(post)).toEqual(['context', 'actions']);
    expect(all(post)).toContain('Bash: npm test');
    expect(buttons(post)).toMatchObject([
      { action_id: 'bridge_stop', value: 'stopTOKEN', style: 'danger', accessibility_label: 'Stop the agent' },
    ]);
  });

  it('keeps activity and Stop under its text, in the same message', () => {
    const [post] = renderPosts(view([text('Hello **wor')], live()));
    expect(post).toMatchObject({ part: '0.0', live: true });
    expect(types(post)).toEqual(['markdown', 'context', 'actions']);
    expect(post?.blocks[0]).toMatchObject({ text: 'Hello **wor**' });
  });

  it('shows how many messages wait, and nothing for none', () => {
    const shown = (queued: number) =>
      JSON.stringify(renderPosts(view([text('a')], { live: { activity: { kind: 'writing' }, stop, queued } })));
    expect(shown(1)).toContain('"1 message waiting"');
    expect(shown(3)).toContain('"3 messages waiting"');
    expect(shown(0)).not.toContain('waiting');
  });

  it('offers to send waiting messages now, beside Stop', () => {
    const shown = (steering?: NonNullable<TurnView['live']>['steering']) =>
      renderPosts(view([text('a')], { live: { activity: { kind: 'writing' }, stop, queued: 1, steering } }))[0];
    const [, sendNow] = buttons(shown({ isOffered: true, handedOver: 0, sent: 0 }));
    expect(sendNow).toMatchObject({ action_id: 'bridge_send_now', value: stop, text: { text: 'Send now' } });
    expect(buttons(shown())).toHaveLength(1);
    const waits = shown({ isOffered: false, handedOver: 1, sent: 2 });
    expect(all(waits)).toContain('1 message joins after the next tool');
    expect(all(waits)).toContain('2 messages join after this tool');
    expect(all(waits)).not.toContain('waiting');
  });

  it('messages that joined: stand above the text that follows', () => {
    const joined: ViewItem = { kind: 'joined', messages: ['and the tests <!here>', ''] };
    const posts = renderPosts(view([text('before'), joined, text('after')], live()));
    expect(posts.map(types)).toEqual([['markdown'], ['context', 'markdown', 'context', 'actions']]);
    expect(all(posts[1])).toContain('↪ Joined here: “and the tests <!here>” · files');
    expect(JSON.stringify(posts[1]?.blocks[0])).toContain('plain_text');
    const over = renderPosts(view([text('before'), joined], { live: null, ending: null }));
    expect(over.map(types)).toEqual([['markdown'], ['context']]);
  });

  it('messages that joined before any text: take the place of the status', () => {
    const joined: ViewItem = { kind: 'joined', messages: ['and the tests'] };
    const posts = renderPosts(view([joined, text('after')], live()));
    expect(parts(posts)).toEqual(['0.0', '1.0']);
    expect(posts[0]).toMatchObject({ live: false, text: '↪ Joined here: “and the tests”' });
  });

  it('gives text its own part names while earlier text is missing', () => {
    const posts = renderPosts(view([approval({ shown: null }), text('after')], { ...live(), textUnknown: true }));
    expect(parts(posts)).toEqual(['card-cardTOKE', '+1.0']);
  });

  it('marks a closed card as late while the text before is missing', () => {
    const closed = { state: 'closed', why: 'turn_over', at: 1 } as const;
    const late = (card: ViewItem, more: Partial<TurnView>) => renderPosts(view([card], more))[0]?.waitsForTextAbove;
    expect(late(approval({ state: closed }), { ...live(), textUnknown: true })).toBe(true);
    expect(late(approval({ state: closed }), live())).toBeUndefined();
    expect(late(approval(), { ...live(), textUnknown: true })).toBeUndefined();
    expect(
      late(approval({ state: closed }), { ...over({ outcome: 'interrupted' }), textUnknown: true }),
    ).toBeUndefined();
  });

  it('has no Stop button once stopping began', () => {
    const [post] = renderPosts(view([text('a')], { live: { activity: { kind: 'stopping' }, stop: null, queued: 0 } }));
    expect(types(post)).toEqual(['markdown', 'context']);
  });

  it('closes the text above an open card, which is the last message', () => {
    const posts = renderPosts(view([text('before'), approval()], live({ kind: 'waiting_for_people' })));
    expect(parts(posts)).toEqual(['0.0', 'card-cardTOKE']);
    expect(posts.map((post) => [post.kind, post.live])).toEqual([
      ['text', false],
      ['card', false],
    ]);
    expect(types(posts[0])).toEqual(['markdown']);
  });

  it('continues below a card that is decided, or below later text', () => {
    const decided = approval({ state: { state: 'closed', why: 'answered_elsewhere', at: 1 } });
    expect(parts(renderPosts(view([decided], live())))).toEqual(['card-cardTOKE', '1.0']);
    expect(parts(renderPosts(view([text('before'), approval(), text('after')], live())))).toEqual([
      '0.0',
      'card-cardTOKE',
      '2.0',
    ]);
  });

  it('says once what was not passed on', () => {
    const posts = renderPosts(
      view([approval(), text('x'), approval()], { ...live(), notPassedOn: ['2 files: a.png, <b>.pdf'] }),
    );
    expect(posts.map((post) => all(post).includes('Not passed on'))).toEqual([false, true, false]);
  });

  it('says once how many threads change files in the same folder', () => {
    const posts = renderPosts(view([text('x'), approval()], { ...live(), notPassedOn: ['1 file (a)'], alongside: 2 }));
    expect(posts.map((post) => all(post).includes('2 other threads are changing files in the same folder'))).toEqual([
      true,
      false,
    ]);
    expect(all(posts[0])).toContain('Not passed on');
  });
});

describe('an open card without text below it', () => {
  const open = (activity: Activity, queued = 0) =>
    renderPosts(view([approval()], { live: { activity, stop, queued }, ending: null }));

  it('says below its buttons what else is the case', () => {
    expect(types(open({ kind: 'waiting_for_people' })[0])?.at(-1)).toBe('actions');
    expect(JSON.stringify(open({ kind: 'waiting_for_people' }, 2)[0]?.blocks.at(-1))).toContain('2');
    expect(JSON.stringify(open({ kind: 'stopping' })[0]?.blocks.at(-1))).toContain('Stopping');
    const away = open({ kind: 'waiting_for_letta', notice: 'studio is offline' });
    expect(away).toHaveLength(1);
    expect(JSON.stringify(away[0]?.blocks.at(-1))).toContain('studio is offline');
  });

  it('holds what was not passed on while there is no text', () => {
    const posts = renderPosts(view([approval()], { ...live(), notPassedOn: ['1 file: a.png'] }));
    expect(posts.map((post) => all(post).includes('a.png'))).toEqual([true]);
  });

  it('unknown after a restart, Letta away: a message below says so', () => {
    const lost = [approval({ shown: null })];
    const away = live({ kind: 'waiting_for_letta', notice: 'studio is offline' });
    expect(renderPosts(view(lost, away))).toHaveLength(2);
    const starting = live({ kind: 'waiting_for_letta', notice: RESUMING });
    expect(renderPosts(view(lost, starting))).toHaveLength(1);
  });

  it('a status above it no longer looks alive', () => {
    const [still] = renderAll(view([approval()], live({ kind: 'waiting_for_people' })));
    expect(still).toMatchObject({ part: '0.0', kind: 'text', isEditOnly: true, live: false });
    expect(buttons(still)).toEqual([]);
    const parallel = renderAll(view([text('before'), approval()], live()));
    expect(parallel.some(({ isEditOnly }) => isEditOnly)).toBe(false);
  });
});

describe('an ended turn', () => {
  it('says below the answer what the agent remembers, small', () => {
    const headsUp = 'Heads-up: one memory.';
    const [post] = renderPosts(view([text('Done.')], { ...over(), headsUp }));
    const small = { type: 'context', elements: [{ type: 'mrkdwn', text: headsUp }] };
    expect(post?.blocks.at(-1)).toMatchObject(small);
    expect(post?.text).not.toContain('Heads-up');
  });

  it('has one line of figures and no button', () => {
    const posts = renderPosts(view([text('Done.')], over()));
    expect(posts).toHaveLength(1);
    expect(posts[0]).toMatchObject({ part: '0.0', live: false, text: 'Done.' });
    expect(posts[0]?.blocks.at(-1)).toMatchObject({ type: 'context', elements: [{ text: '3 tools · 42 s' }] });
    expect(buttons(posts[0])).toEqual([]);
  });

  it('shorter than ten seconds and without tools: has no figures', () => {
    const [short] = renderPosts(view([text('Done.')], over({ tools: 0, durationMs: 9_999 })));
    expect(types(short)).toEqual(['markdown']);
    const [long] = renderPosts(view([text('Done.')], over({ tools: 0, durationMs: 10_000 })));
    expect(long?.blocks.at(-1)).toMatchObject({ type: 'context', elements: [{ text: '10 s' }] });
    const [tool] = renderPosts(view([text('Done.')], over({ tools: 1, durationMs: 300 })));
    expect(tool?.blocks.at(-1)).toMatchObject({ type: 'context', elements: [{ text: '1 tool · 300 ms' }] });
  });

  it('with details: has their menu beside the figures, in one block', () => {
    const [post] = renderPosts(view([text('Done.')], over({ details: makeToken('detailsTOKEN') })));
    expect(types(post)).toEqual(['markdown', 'section']);
    expect(post?.blocks.at(-1)).toMatchObject({
      text: { text: '3 tools · 42 s' },
      accessory: {
        type: 'overflow',
        action_id: 'bridge_details',
        options: [
          { text: { text: 'Details' }, value: 'details:detailsTOKEN' },
          { text: { text: '👍 Good answer' }, value: 'feedback_good:detailsTOKEN' },
          { text: { text: '👎 Not good…' }, value: 'feedback_bad:detailsTOKEN' },
          { text: { text: 'Also to the channel' }, value: 'share:detailsTOKEN' },
        ],
      },
    });
    validateMessageBlocks(post?.blocks ?? []);
  });

  it('names who stopped it or what failed, without a ping', () => {
    const [stopped] = renderPosts(
      view([], over({ outcome: 'stopped', by: 'U01ALICE', tools: 1, durationMs: 125_000 })),
    );
    expect(all(stopped)).toContain('Stopped by <@U01ALICE> · 1 tool · 2 min 5 s');
    const [failed] = renderPosts(
      view([], over({ outcome: 'failed', line: 'It said <!channel> · turn-abc', tools: 0 })),
    );
    expect(all(failed)).toContain('⚠️ It said &lt;!channel&gt; · turn-abc · 42 s');
    expect(failed?.text).toContain('It said &lt;!channel&gt;');
  });

  it('shows every word that the agent wrote', () => {
    const long = Array.from({ length: 4_000 }, (_, index) => `word${index}`).join(' ');
    const posts = renderPosts(view([text(long)], over()));
    const words = posts.flatMap(({ blocks }) =>
      blocks.flatMap((block) => (block.type === 'markdown' ? [block.text] : [])),
    );
    expect(posts.length).toBeGreaterThan(3);
    expect(
      words
        .join(' ')
        .split(/\s+/)
        .filter((word) => word !== ''),
    ).toEqual(long.split(' '));
  });
});

describe('a growing text over several messages', () => {
  it('never changes a full message, and ends like text rendered at once', () => {
    const big = fc.array(markdownText, { minLength: 15, maxLength: 40 }).map((texts) => texts.join('\n\n'));
    fc.assert(
      fc.property(
        big,
        fc.array(fc.integer({ min: 500, max: 6_000 }), { minLength: 1, maxLength: 9 }),
        (markdown, steps) => {
          const render = createRenderer();
          const closed = new Map<string, string>();
          for (let at = 0, step = 0; at < markdown.length; step += 1) {
            at += steps[step % steps.length] ?? 500;
            for (const post of render(view([text(markdown.slice(0, at))], live())).slice(0, -1)) {
              const before = closed.get(post.part);
              if (before !== undefined) expect(all(post)).toBe(before);
              closed.set(post.part, all(post));
            }
          }
          expect(render(view([text(markdown)], over()))).toEqual(renderPosts(view([text(markdown)], over())));
        },
      ),
      { numRuns: runs(4) },
    );
  });

  it('returns the same post object for a full message', () => {
    const render = createRenderer();
    const long = 'word '.repeat(5_000);
    const first = render(view([text(long)], live()));
    const second = render(view([text(`${long} more`)], live()));
    expect(second[0]).toBe(first[0]);
  });

  it('is rendered anew after a retry threw it away', () => {
    const render = createRenderer();
    render(view([text('word '.repeat(5_000))], live()));
    const again = view([text(`other ${'word '.repeat(5_000)}`)], live());
    expect(render(again)).toEqual(renderPosts(again));
  });
});

describe('an approval card', () => {
  it('shows who decides, what runs and where, then the model’s words', () => {
    const [card] = renderPosts(view([approval({ device: 'studio', expiresAt: 1_767_600_000_000 })], live()));
    expect(card).toMatchObject({
      part: 'card-cardTOKE',
      kind: 'card',
      text: '<@U01ALICE> Run this command? touch x',
    });
    const order = ['U01ALICE', 'Run this command?', 'touch x', '/home/agent · studio', 'own words: “makes x”'];
    expect(order.map((words) => all(card).indexOf(words))).toEqual(
      order.map((words) => all(card).indexOf(words)).toSorted((one, other) => one - other),
    );
    for (const words of order) expect(all(card)).toContain(words);
    expect(all(card)).toContain('Expires <!date^1767600000^');
    expect(buttons(card).map(({ action_id }) => parseActionId(action_id)?.name)).toEqual([
      ...['approve', 'deny_with_reason', 'allow_command'],
    ]);
    expect(new Set(buttons(card).map(({ value }) => value))).toEqual(new Set(['cardTOKEN']));
    expect(more(card)).toEqual([
      ['Edit command', { name: 'edit_command', token }],
      ['Stop', { name: 'stop', token: stop }],
    ]);
  });

  describe('of a plan', () => {
    const planned = (plan: string, state: ApprovalCard['state'] = { state: 'open' }) => {
      const request = { requestId: 'r', callId: null, tool: PLAN_TOOL, input: { plan }, diffs: [], suggestions: [] };
      const card = { tool: PLAN_TOOL, title: 'Plan', shown: shownRequest({ ...request, questions: null }), state };
      return renderPosts(view([approval(card)], live()))[0];
    };
    const decided = (decision: 'approved' | 'denied') =>
      ({ state: 'decided', decision, by: 'U01ALICE', name: 'Alice', at: 1, words: null, via: 'click' }) as const;
    const plan = '## Steps\n\n1. Read **it**\n2. Change it';

    it('shows it as Markdown, to be approved or sent back', () => {
      expect(types(planned(plan))).toContain('markdown');
      expect(all(planned(plan))).toContain('## Steps\\n\\n1. Read **it**');
      expect(buttons(planned(plan)).map(({ text }) => text.text)).toEqual(
        expect.arrayContaining(['Approve plan', 'Ask for changes…']),
      );
    });

    it('agreed to: stays in the thread; sent back: does not', () => {
      expect(all(planned(plan, decided('approved')))).toContain('## Steps');
      expect(all(planned(plan, decided('denied')))).not.toContain('## Steps');
    });

    it('too long for a card: says where all of it is', () => {
      const long = `${plan}\n\n${'- one more step\n'.repeat(1_000)}`;
      expect(buttons(planned(long))[0]?.text.text).toBe('Review and approve');
      expect(all(planned(long))).toMatch(/\d+ more characters: “Review and approve” shows all of it/);
      expect(all(planned(long, decided('approved')))).toMatch(/\d+ more characters: Details shows all of it/);
    });
  });

  it('tells screen readers what each button does to which command', () => {
    const [card] = renderPosts(view([approval()], live()));
    for (const { accessibility_label, text } of buttons(card)) {
      expect(accessibility_label).toMatch(/touch x/);
      // People who speak to their machine name a button as they see it.
      expect(accessibility_label).toContain(text.text.replace(/…$/, ''));
    }
    const [bare] = renderPosts(view([approval({ offers: { edit: false, grant: null, rule: false } })], live()));
    expect(buttons(bare).at(-1)).toMatchObject({ action_id: 'bridge_stop', accessibility_label: 'Stop the agent' });
  });

  it('mentions user groups in the card and in its notification text', () => {
    const [card] = renderPosts(view([approval({ asks: ['S0GROUP1', 'U02BOB'] })], live()));
    expect(card?.text).toMatch(/^<!subteam\^S0GROUP1> <@U02BOB> Run this command/);
    expect(all(card)).toMatch(/"usergroup_id":"S0GROUP1".*"user_id":"U02BOB"/);
  });

  it('shows a diff with counts, and only fields the diff lacks', () => {
    const lines = [
      { type: 'context' as const, content: 'same' },
      { type: 'remove' as const, content: 'old' },
      { type: 'add' as const, content: 'new <!here>' },
      { type: 'add' as const, content: 'newer' },
    ];
    const diffs = [
      {
        kind: 'hunks' as const,
        fileName: 'a.ts',
        hunks: [{ oldStart: 1, oldLines: 2, newStart: 1, newLines: 3, lines }],
      },
    ];
    const input = { file_path: '/src/a.ts', old_string: 'old', new_string: 'new <!here>\nnewer', replace_all: true };
    const offers = { edit: false, grant: 'edits', rule: true } as const;
    const [card] = renderPosts(view([approval({ tool: 'Edit', shown: shown(input, diffs), offers })], live()));
    // Once in the head; screen readers hear it with each button.
    expect(JSON.stringify(card?.blocks.filter(({ type }) => type !== 'actions')).match(/a\.ts/g)).toHaveLength(1);
    expect(headOf(card)).toBe('U01ALICE Change /src/a.ts? +2 −1');
    expect(all(card)).toContain('-old\\n+new <!here>\\n+newer');
    expect(all(card)).toContain('replace_all: true');
    expect(all(card)).not.toContain('new_string');
    const other = { ...input, new_string: 'not in the diff' };
    const [told] = renderPosts(view([approval({ tool: 'Edit', shown: shown(other, diffs), offers })], live()));
    expect(all(told)).toContain('new_string: not in the diff');
    expect(buttons(card).map(({ action_id }) => parseActionId(action_id)?.name)).toEqual([
      ...['approve', 'deny_with_reason', 'allow_edits'],
    ]);
    expect(more(card).map(([label]) => label)).toEqual(['Always allow…', 'Stop']);
  });

  it('hides what looks like a secret, and says so', () => {
    const [card] = renderPosts(
      view([approval({ shown: shown({ command: 'curl -H "Authorization: Bearer abcdef0123456789abcdef"' }) })], live()),
    );
    expect(all(card)).toContain('«redacted»');
    expect(all(card)).not.toContain('abcdef0123456789');
    expect(all(card)).toContain('Secrets are hidden');
  });

  it('shows invisible and reordering characters by number', () => {
    const [card] = renderPosts(view([approval({ shown: shown({ command: 'rm \u202Etxt.a\u0000' }) })], live()));
    expect(all(card)).toContain('rm ⟨U+202E⟩txt.a⟨U+0000⟩');
  });

  it.each([
    ['long', 'x'.repeat(199_000)],
    ['long and invisible', '\u202Ex'.repeat(99_000)],
    ['of many lines', 'echo\n'.repeat(39_000)],
  ])('with an input that is %s makes Approve open the full view', (_, command) => {
    const offers = { edit: false, grant: 'command', rule: true } as const;
    const [card] = renderPosts(view([approval({ shown: shown({ command }), title: command, offers })], live()));
    validateMessageBlocks(card?.blocks ?? []);
    expect(all(card)).toMatch(/1[89]\d{4} more characters: “Review and approve” shows all of it/);
    expect(all(card)).not.toContain('\u202E');
    expect(buttons(card)[0]?.text.text).toBe('Review and approve');
    expect(buttons(card).map(({ action_id }) => parseActionId(action_id)?.name)).toEqual([
      ...['approve', 'deny_with_reason'],
    ]);
    expect(more(card).map(([label]) => label)).toEqual(['View full', 'Stop']);
  });

  it('shows every character of an input unless it says otherwise', () => {
    const unit = fc.oneof(
      fc.constantFrom('a', ' ', '\n', '<', '&', '\u202E', '\u200B', '漢'),
      fc.string({ maxLength: 1 }),
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 400 }), fc.integer({ min: 1, max: 30 }), (units, repeat) => {
        const command = units.join('').repeat(repeat);
        const [card] = renderPosts(view([approval({ shown: shown({ command }) })], live()));
        validateMessageBlocks(card?.blocks ?? []);
        const cut = all(card).includes('shows all of it');
        expect(cut).toBe(shown({ command }).isClipped);
        if (!cut && command !== '') expect(preformattedTexts(card?.blocks).join('')).toBe(neutralizePlain(command));
      }),
      { numRuns: runs(200) },
    );
  });

  it('is frozen while only its record is left and it is open', () => {
    const isFrozen = (item: ViewItem) => renderPosts(view([item], live()))[0]?.isFrozen;
    expect(isFrozen(approval({ shown: null }))).toBe(true);
    expect(isFrozen(question({ questions: null }))).toBe(true);
    expect(isFrozen(approval())).toBeUndefined();
    expect(isFrozen(question())).toBeUndefined();
    const closed: ApprovalState = { state: 'closed', why: 'link_lost', at: 1_700_000_000_000 };
    expect(isFrozen(approval({ shown: null, state: closed }))).toBeUndefined();
    expect(isFrozen(question({ questions: null, state: closed }))).toBeUndefined();
  });

  it('keeps its part name wherever it is placed', () => {
    const alone = renderPosts(view([approval()], live()));
    const below = renderPosts(view([text('before'), approval()], live()));
    expect(parts(alone)[0]).toBe(parts(below)[1]);
  });

  it('without buttons says what to type; a clipped one offers deny only', () => {
    const [card] = renderPosts(view([approval()], live()));
    expect(card?.typed).toBe('To decide, write here: !approve cardTOKE or !deny cardTOKE why');
    const long = shown({ command: 'x'.repeat(10_000) });
    const [clipped] = renderPosts(view([approval({ shown: long })], live()));
    expect(clipped?.typed).toBe('To decide, write here: !deny cardTOKE why');
  });

  it.each([
    ['approvers', '', true],
    ['admins', 'Only an admin can approve this.', true],
    ['nobody', 'No one can approve this here', false],
  ] as const)('for starting an agent warns, and may be approved by %s', (by, words, can) => {
    const [card] = renderPosts(view([approval({ tool: 'Agent', startsAgent: { by } })], live()));
    expect(all(card)).toContain('never asks for approval.');
    expect(all(card)).toContain(words);
    const names = buttons(card).map(({ action_id }) => parseActionId(action_id)?.name);
    expect(names.includes('approve')).toBe(can);
    expect(names).toContain('deny_with_reason');
    expect(card?.typed?.includes('!approve')).toBe(can);
    expect(
      renderPosts(view([approval()], live()))
        .map(all)
        .join(),
    ).not.toContain('never asks for approval');
  });

  it('becomes one line once decided', () => {
    const state: ApprovalState = {
      state: 'decided',
      decision: 'denied',
      by: 'U01ALICE',
      name: 'Alice',
      at: 1_700_000_000_000,
      words: 'not <!here>',
    };
    const [card] = renderPosts(view([approval({ state, shown: null })], over()));
    expect(types(card)).toEqual(['rich_text']);
    const [line] = card?.blocks ?? [];
    const elements =
      line?.type === 'rich_text' && line.elements[0]?.type === 'rich_text_section' ? line.elements[0].elements : [];
    expect(headOf(card)).toBe('⛔ Denied · touch x · “not <!here>” · Alice, ');
    expect(elements).not.toContainEqual({ type: 'user', user_id: 'U01ALICE' });
    expect(elements).toContainEqual(
      expect.objectContaining({ type: 'date', timestamp: 1_700_000_000, format: '{time}' }),
    );
    expect(buttons(card)).toEqual([]);
  });
});

describe('a question card', () => {
  const options = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ label: `Option ${at}`, description: `which is ${at}` }));
  const asking = (count: number, multiSelect = false) => ({
    question: 'Which?',
    header: '',
    multiSelect,
    options: options(count),
  });

  it('has a button for each option and one for other words', () => {
    const [card] = renderPosts(view([question()], live()));
    expect(buttons(card).map(({ action_id, text: { text: label } }) => [action_id, label])).toEqual([
      ['bridge_answer:0:0', 'Red'],
      ['bridge_answer:0:1', 'Blue'],
      ['bridge_answer_in_words', 'Other…'],
      ['bridge_stop', 'Stop'],
    ]);
    expect(all(card)).toContain('warm');
    expect(card?.text).toBe('<@U01ALICE> Which colour?');
  });

  it('has a menu for more than five options', () => {
    expect(buttons(renderPosts(view([question({ questions: [asking(5)], stop: null })], live()))[0])).toHaveLength(6);
    const [card] = renderPosts(view([question({ questions: [asking(6)] })], live()));
    validateMessageBlocks(card?.blocks ?? []);
    const menu = card?.blocks.flatMap((block) => (block.type === 'actions' ? block.elements : []))[0];
    const values = menu?.type === 'static_select' ? (menu.options ?? []).map(({ value }) => value ?? '') : [];
    expect(values.map(parseMenuValue)).toEqual(values.map((_, option) => ({ token, option })));
    expect(values).toHaveLength(6);
  });

  it('opens a form for several choices or several questions', () => {
    for (const questions of [[asking(3, true)], [asking(2), asking(2)], []]) {
      const [card] = renderPosts(view([question({ questions, stop: null })], live()));
      expect(buttons(card).map(({ action_id }) => action_id)).toEqual(['bridge_answer_in_words']);
    }
  });
});

describe('any view', () => {
  const state: fc.Arbitrary<ApprovalState> = fc.oneof(
    fc.constant({ state: 'open' as const }),
    fc.record({
      state: fc.constant('decided' as const),
      decision: fc.constantFrom('approved' as const, 'denied' as const, 'answered' as const),
      by: fc.constant('U02BOB'),
      name: fc.option(anyText, { nil: undefined }),
      at: fc.integer(),
      words: fc.option(anyText),
    }),
    fc.constant({ state: 'closed' as const, why: 'turn_over' as const, at: 5 }),
  );
  const option = fc.record({ label: anyText, description: anyText });
  const asked = fc.record({
    question: anyText,
    header: anyText,
    multiSelect: fc.boolean(),
    options: fc.array(option, { maxLength: 30 }),
  });
  const diffLine = fc.record({
    type: fc.constantFrom('add' as const, 'remove' as const, 'context' as const),
    content: anyText,
  });
  const diff = fc.oneof(
    fc.record({ kind: fc.constant('unavailable' as const), fileName: anyText, reason: anyText }),
    fc.record({
      kind: fc.constant('hunks' as const),
      fileName: anyText,
      hunks: fc
        .array(diffLine, { maxLength: 6 })
        .map((lines) => [{ oldStart: 1, oldLines: 1, newStart: 1, newLines: 1, lines }]),
    }),
  );
  const common = {
    token: fc.constant(token),
    title: anyText,
    asks: fc.constant<string[]>(['U01ALICE']),
    expiresAt: fc.option(fc.constant(1_767_600_000_000)),
    stop: fc.option(fc.constant(stop)),
    state,
  };
  const card: fc.Arbitrary<Card> = fc.oneof(
    fc.record({
      kind: fc.constant('approval' as const),
      ...common,
      tool: fc.oneof(anyText, fc.constantFrom('Bash', 'Edit', 'ExitPlanMode', 'constructor')),
      shown: fc.option(
        fc
          .tuple(fc.dictionary(fc.string(), anyText), fc.array(diff, { maxLength: 4 }))
          .map(([input, diffs]) => shown(input, diffs)),
      ),
      workingDirectory: fc.option(anyText),
      device: fc.option(anyText),
      startsAgent: fc.option(
        fc.record({ by: fc.constantFrom('approvers' as const, 'admins' as const, 'nobody' as const) }),
      ),
      offers: fc.record({
        edit: fc.boolean(),
        grant: fc.constantFrom(null, 'command' as const, 'edits' as const),
        rule: fc.boolean(),
      }),
    }),
    fc.record({
      kind: fc.constant('question' as const),
      ...common,
      questions: fc.option(fc.array(asked, { maxLength: 15 })),
    }),
  );
  const item: fc.Arbitrary<ViewItem> = fc.oneof(
    fc.record({
      kind: fc.constant('text' as const),
      markdown: fc.array(anyText, { maxLength: 12 }).map((texts) => texts.join('\n\n')),
    }),
    fc.record({ kind: fc.constant('card' as const), card }),
  );
  const standing: fc.Arbitrary<Partial<TurnView>> = fc.oneof(
    anyText.map((detail) => live({ kind: 'tool', tool: detail, detail })),
    anyText.map((notice) => live({ kind: 'waiting_for_letta', notice })),
    fc
      .tuple(anyText, fc.constantFrom('done' as const, 'stopped' as const, 'failed' as const, 'interrupted' as const))
      .map(([line, outcome]) => over({ line, outcome, by: 'U02BOB' })),
  );

  it('does not ping through a tool named like a mention', () => {
    const card = approval({ tool: '_@here', title: '' });
    expect(JSON.stringify(renderPosts(view([card], live())))).not.toContain(' @here');
  });

  it('becomes messages that Slack accepts, with no ping and one tail', () => {
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 4 }),
        standing,
        fc.array(anyText, { maxLength: 3 }),
        (drawn, change, notPassedOn) => {
          // No two cards have one token.
          const items = drawn.map((each, n) =>
            each.kind === 'card' ? { ...each, card: { ...each.card, token: makeToken(`${n}-${token}`) } } : each,
          );
          const posts = renderPosts(view(items, { ...change, notPassedOn }));
          expect(new Set(parts(posts)).size).toBe(posts.length);
          const below = items.slice(items.findLastIndex(({ kind }) => kind === 'text') + 1);
          const asks = below.some((each) => each.kind === 'card' && each.card.state.state === 'open');
          // A card that is lost with a restart cannot say that Letta is away.
          const isLate = posts.some((post) => post.isFrozen) && change.live?.activity.kind === 'waiting_for_letta';
          expect(posts.filter((post) => post.live).length).toBeLessThanOrEqual(
            change.live && (!asks || isLate) ? 1 : 0,
          );
          if (change.live && !asks) expect(posts.at(-1)?.live).toBe(true);
          for (const post of posts) {
            // It is not sent.
            if (post.isFrozen) continue;
            validateMessageBlocks(post.blocks);
            expect(post.blocks.length).toBeGreaterThan(0);
            expect(post.text.length).toBeGreaterThan(0);
            expect(post.text.length).toBeLessThan(1_000);
            for (const parsedBySlack of [post.text, ...parsedTexts(post.blocks)])
              expect(
                pingsIn(parsedBySlack.replace(/<@U0(?:1ALICE|2BOB)>|<!date\^\d+\^[{}\w ]+\|[^<>|]+>/g, '')),
              ).toEqual([]);
          }
        },
      ),
      { numRuns: runs(60) },
    );
  });
});

function preformattedTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(preformattedTexts);
  if (typeof value !== 'object' || value === null) return [];
  const { type, elements } = value as { type?: unknown; elements?: { text: string }[] };
  if (type === 'rich_text_preformatted') return (elements ?? []).map(({ text: words }) => words);
  return Object.values(value).flatMap(preformattedTexts);
}

/** The texts in which Slack looks for tokens. */
function parsedTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(parsedTexts);
  if (typeof value !== 'object' || value === null) return [];
  const { type, text: words } = value as { type?: unknown; text?: unknown };
  const here = (type === 'markdown' || type === 'mrkdwn') && typeof words === 'string' ? [words] : [];
  return [...here, ...Object.values(value).flatMap(parsedTexts)];
}

describe('noticePosts', () => {
  it('shows a moment as a Slack date, and no forged date', () => {
    const [post] = noticePosts(
      `Since ${moment(1_767_600_000_000)} <!date^1^{date}^https://evil.example|now> <!here|x>`,
    );
    const shown = JSON.stringify(post?.blocks);
    expect(shown).toContain('<!date^1767600000^{date_short_pretty} {time_secs}|2026-01-05T08:00:00.000Z>');
    expect(shown.match(/<!/g)).toHaveLength(1);
  });

  it('mentions people and channels and nothing else', () => {
    const [post] = noticePosts('**Busy**: <@U01ALICE> in <#C01GEN> said <!here> <b>');
    expect(post?.blocks).toEqual([
      { type: 'markdown', text: '**Busy**: <@U01ALICE> in <#C01GEN> said &lt;!here&gt; &lt;b&gt;' },
    ]);
    expect(post?.text).toBe('Busy: <@U01ALICE> in <#C01GEN> said &lt;!here&gt; &lt;b&gt;');
  });

  it('continues in further messages like an answer', () => {
    expect(noticePosts('word '.repeat(4_000)).map(({ part }) => part)).toEqual(['0.0', '0.1', '0.2']);
  });
});
