import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TurnView } from '../../../src/bridge/view/turn.ts';
import type { Seams } from '../../../src/slack/render/post.ts';
import { createRenderer } from '../../../src/slack/render/posts.ts';
import { runs } from '../../support/runs.ts';
import { address, card, createStage, PART_MAX, type StageOptions, text } from './stage.ts';

const { channel, threadTs: thread } = address;

/** A stage on which Slack takes no edits for so many ms, from the next one on. */
function stageWithoutEdits(ms = 40_000, options: StageOptions = {}) {
  const stage = createStage(options);
  let until = 0;
  const refuse = () => {
    until = stage.clock.now() + ms;
  };
  stage.slack.fault = (method) => {
    const left = until - stage.clock.now();
    return method === 'chat.update' && left > 0 ? { kind: 'limited', retryAfterMs: left } : null;
  };
  return { stage, refuse, shown: () => stage.slack.shown(channel, thread) };
}

describe('the end of a turn whose message cannot be edited for now', () => {
  it('goes on below at once; the first message is tidied later', async () => {
    const { stage, refuse, shown } = stageWithoutEdits();
    const turn = stage.turn();
    turn.show({ items: [text('The build')] });
    await stage.clock.advance(2_000);
    refuse();
    turn.finish({ items: [text('The build is red.')] });
    await stage.clock.advance(1_500);
    expect(shown()).toEqual(['The build[thinking]', ' is red.']);
    expect(turn.delivery).toBeNull();
    await stage.clock.advance(60_000);
    expect(shown()).toEqual(['The build', ' is red.']);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.slack.complaints).toEqual([]);
  });

  it('stays in its message when the edit waits only a moment', async () => {
    const { stage, refuse, shown } = stageWithoutEdits(1_000);
    const turn = stage.turn();
    turn.show({ items: [text('The build')] });
    await stage.clock.advance(2_000);
    refuse();
    turn.finish({ items: [text('The build is red.')] });
    await stage.clock.advance(3_000);
    expect(shown()).toEqual(['The build is red.']);
  });

  it('all text seen: only a bad end is posted below', async () => {
    for (const line of [null, 'It failed.']) {
      const { stage, refuse, shown } = stageWithoutEdits();
      const turn = stage.turn();
      turn.show({ items: [text('The build')] });
      await stage.clock.advance(2_000);
      refuse();
      turn.finish({ items: [text('The build')], line });
      await stage.clock.advance(1_500);
      expect(shown()).toEqual(['The build[thinking]', ...(line === null ? [] : [line])]);
      await stage.clock.advance(60_000);
      expect(shown()).toEqual(['The build', ...(line === null ? [] : [line])]);
    }
  });

  it('a message without text is replaced by the answer', async () => {
    const { stage, refuse, shown } = stageWithoutEdits();
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(11_000);
    expect(shown()).toEqual(['[thinking]']);
    refuse();
    turn.finish({ items: [text('The build is red.')] });
    await stage.clock.advance(2_000);
    expect(shown()).toEqual(['The build is red.']);
    await stage.clock.advance(60_000);
    expect(shown()).toEqual(['The build is red.']);
    expect(stage.slack.complaints).toEqual([]);
  });

  it('a text that a retry changed replaces what was shown', async () => {
    const { stage, refuse, shown } = stageWithoutEdits();
    const turn = stage.turn();
    turn.show({ items: [text('The build')] });
    await stage.clock.advance(2_000);
    refuse();
    turn.finish({ items: [text('All is green.')] });
    await stage.clock.advance(2_000);
    expect(shown()).toEqual(['All is green.']);
  });

  it('goes on below a card whose decision cannot be shown yet', async () => {
    const { stage, refuse, shown } = stageWithoutEdits();
    const turn = stage.turn();
    turn.show({ items: [card('A')], activity: { kind: 'waiting_for_people' } });
    await stage.clock.advance(2_000);
    refuse();
    turn.finish({ items: [card('A', 'decided'), text('Done.')] });
    await stage.clock.advance(2_500);
    expect(shown().at(-1)).toBe('Done.');
    await stage.clock.advance(60_000);
    expect(shown()).toEqual(['card A decided', 'Done.']);
  });

  it('with the real renderer keeps a fence whole', async () => {
    const renderers = new Map<string, ReturnType<typeof createRenderer>>();
    const render = (view: TurnView, files: boolean, seams: Seams) => {
      const own = renderers.get(view.turn) ?? createRenderer();
      renderers.set(view.turn, own);
      return own(view, files, seams);
    };
    const { stage, refuse, shown } = stageWithoutEdits(40_000, { render });
    const turn = stage.turn();
    turn.show({ items: [text('Look:\n\n```ts\na();\nb')] });
    await stage.clock.advance(2_000);
    refuse();
    turn.finish({ items: [text('Look:\n\n```ts\na();\nb();\n```\n\nDone.')] });
    await stage.clock.advance(60_000);
    const [first, second] = shown();
    expect(first?.trimEnd()).toBe('Look:\n\n```ts\na();\n```');
    expect(second?.startsWith('```ts\nb();\n```\n\nDone.')).toBe(true);
    expect(shown()).toHaveLength(2);
  });

  it('shows nothing twice and in order, whenever the process dies', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9_000 }),
        fc.integer({ min: 2, max: 2_000 }),
        fc.integer({ min: 0, max: 70 }),
        fc.integer({ min: 1, max: 70 }),
        async (crashAt, latency, before, more) => {
          const { stage, refuse, shown } = stageWithoutEdits();
          stage.slack.latency = () => latency;
          const letters = Array.from({ length: before + more }, (_, n) => String.fromCharCode(97 + (n % 26))).join('');
          const turn = stage.turn();
          turn.show({ items: before === 0 ? [] : [text(letters.slice(0, before))] });
          await stage.clock.advance(12_000);
          refuse();
          turn.finish({ items: [text(letters)] });
          for (let at = 0; at < crashAt; at += 250) {
            await stage.clock.advance(250);
            expect(letters.startsWith(readable(shown()))).toBe(true);
          }
          stage.crash();
          // A call that had left when the process died still arrives; a new process takes a while to start.
          await stage.clock.advance(latency + 2_000);
          const again = stage.turn(address, turn.stored, 'turn-1', true);
          again.finish({ items: [text(letters)] });
          await stage.clock.advance(120_000);
          expect(again.delivery).toEqual({ delivered: true });
          expect(readable(shown())).toBe(letters);
          expect(shown().every((part) => part.length <= PART_MAX)).toBe(true);
          // The new process cannot know what the old one was told.
          const complaints = stage.slack.complaints.filter((line) => line !== 'chat.update before its Retry-After');
          expect(complaints).toEqual([]);
        },
      ),
      { numRuns: runs(80) },
    );
  });

  it('twenty that end together are all seen within 1.5 s', async () => {
    const stage = createStage();
    const turns = Array.from({ length: 20 }, (_, n) => {
      const turn = stage.turn({ ...address, channel: `C1${n}` }, [], `turn-${n}`);
      return { turn, channel: `C1${n}` };
    });
    let letters = '';
    for (let second = 0; second < 70; second += 1) {
      letters = `${letters}${second % 10}`;
      for (const { turn } of turns) turn.show({ items: [text(letters)] });
      await stage.clock.advance(1_000);
    }
    for (const { turn } of turns) turn.finish({ items: [text(`${letters}!`)] });
    await stage.clock.advance(1_500);
    for (const one of turns) expect(readable(stage.slack.shown(one.channel, thread))).toBe(`${letters}!`);
    await stage.clock.advance(120_000);
    for (const one of turns) {
      expect(one.turn.delivery).toEqual({ delivered: true });
      expect(readable(stage.slack.shown(one.channel, thread))).toBe(`${letters}!`);
    }
    expect(stage.slack.complaints).toEqual([]);
  });
});

/** What people read, without what the turn does. */
const readable = (shown: readonly string[]) => shown.map((part) => part.replace(/\[\w+\]$/, '')).join('');
