import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../src/slack/render/limits.ts';
import { renderPosts } from '../../../src/slack/render/posts.ts';
import type { Fault } from './fake-slack.ts';
import { address, createStage, text } from './stage.ts';

const words = Array.from({ length: 600 }, (_, index) => `word${index}`);
const LONG = words.join(' ');
const SMALL = { ...LIMITS, markdown: 900, markdownReserve: 100, reopening: 100 };
const BEGIN = 'files.getUploadURLExternal';
const COMPLETE = 'files.completeUploadExternal';

/** A stage with the real renderer; two messages, then a file. */
const stageWith = (files = true) =>
  createStage({
    canUpload: files,
    render: (view, possible) =>
      renderPosts(view, new Map(), { limits: SMALL, maxMessages: possible ? 2 : Number.POSITIVE_INFINITY }),
  });
type Stage = ReturnType<typeof stageWith>;

const filesIn = (stage: Stage) =>
  stage.slack.messages(address.channel, address.threadTs).flatMap(({ files }) => files ?? []);
const postsIn = (stage: Stage) =>
  stage.slack.messages(address.channel, address.threadTs).filter(({ files }) => files === undefined);
/** The words that readers see, in order, those of the file that stand in the last message left out. */
const wordsIn = (stage: Stage) => postsIn(stage).flatMap(({ blocks }) => blocks[0]?.text?.match(/word\d+/g) ?? []);

const once = (method: string, fault: Fault) => {
  let first = true;
  return (called: string): Fault | null => {
    if (called !== method || !first) return null;
    first = false;
    return fault;
  };
};

function expectOneFile(stage: Stage) {
  const [file, ...others] = filesIn(stage);
  expect(others).toEqual([]);
  expect(postsIn(stage)).toHaveLength(2);
  const shown = wordsIn(stage);
  const inFile = file?.content.match(/word\d+/g) ?? [];
  const firstInFile = shown.indexOf(inFile[0] ?? '');
  expect([...shown.slice(0, firstInFile), ...inFile]).toEqual(words);
  // Its first lines are what the last message shows.
  expect(shown.slice(firstInFile)).toEqual(inFile.slice(0, shown.length - firstInFile));
}

describe('an answer longer than its messages', () => {
  test('ends with a file that holds the rest, below the messages', async () => {
    const stage = stageWith();
    const turn = stage.turn();
    turn.show({ items: [text(LONG.slice(0, 4_000))] });
    await stage.clock.advance(10_000);
    expect(postsIn(stage)).toHaveLength(2);
    expect(JSON.stringify(postsIn(stage)[1]?.blocks)).toContain('The rest will follow as a file');
    expect(filesIn(stage)).toEqual([]);
    turn.finish({ items: [text(LONG)] });
    await stage.clock.advance(10_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(JSON.stringify(postsIn(stage)[1]?.blocks)).toContain('in the file below: answer.md');
    expectOneFile(stage);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('is posted in messages where files cannot be uploaded', async () => {
    const stage = stageWith(false);
    stage.turn().finish({ items: [text(LONG)] });
    await stage.clock.advance(60_000);
    expect(wordsIn(stage)).toEqual(words);
  });

  test.each([
    [BEGIN, 'missing_scope'],
    [BEGIN, 'storage_limit_reached'],
    [COMPLETE, 'file_type_not_allowed'],
  ])('is posted in messages when Slack refuses %s with %s', async (method, error) => {
    const stage = stageWith();
    stage.slack.fault = (called) => (called === method ? { kind: 'refused', error } : null);
    const turn = stage.turn();
    turn.finish({ items: [text(LONG)] });
    await stage.clock.advance(60_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(wordsIn(stage)).toEqual(words);
    expect(JSON.stringify(postsIn(stage).map(({ blocks }) => blocks))).not.toContain('file below');
  });

  test('tries no upload once Slack said missing_scope', async () => {
    const stage = stageWith();
    stage.slack.fault = (called) => (called === BEGIN ? { kind: 'refused', error: 'missing_scope' } : null);
    stage.turn().finish({ items: [text(LONG)] });
    await stage.clock.advance(60_000);
    const next = stage.turn({ ...address, threadTs: '1700000000.000002' }, [], 'turn-2');
    next.finish({ items: [text(LONG)] });
    await stage.clock.advance(60_000);
    expect(next.delivery).toEqual({ delivered: true });
    expect(stage.slack.callsOf(BEGIN)).toHaveLength(1);
  });

  test.each(['before', 'after'] as const)('is shared once when a reply is lost %s the effect', async (kind) => {
    const stage = stageWith();
    stage.slack.fault = once(COMPLETE, { kind });
    const turn = stage.turn();
    turn.finish({ items: [text(LONG)] });
    await stage.clock.advance(60_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expectOneFile(stage);
  });

  test('is shared once even when Slack lists the shared file late', async () => {
    const stage = stageWith();
    stage.slack.shareDelayMs = 3_000;
    stage.slack.fault = once(COMPLETE, { kind: 'after' });
    stage.turn().finish({ items: [text(LONG)] });
    await stage.clock.advance(60_000);
    expectOneFile(stage);
  });

  test('is posted in messages when every upload fails without an answer', async () => {
    const stage = stageWith();
    stage.slack.fault = (called) => (called === BEGIN ? { kind: 'before' } : null);
    const turn = stage.turn();
    turn.finish({ items: [text(LONG)] });
    await stage.clock.advance(180_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(wordsIn(stage)).toEqual(words);
  });

  test('waits for Slack’s Retry-After before uploading', async () => {
    const stage = stageWith();
    stage.slack.fault = once(BEGIN, { kind: 'limited', retryAfterMs: 20_000 });
    stage.turn().finish({ items: [text(LONG)] });
    await stage.clock.advance(15_000);
    expect(filesIn(stage)).toEqual([]);
    await stage.clock.advance(30_000);
    expectOneFile(stage);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('is shared once, whenever the process dies', async () => {
    for (let ms = 50; ms < 3_000; ms += 60) {
      const stage = stageWith();
      const before = stage.turn();
      before.finish({ items: [text(LONG)] });
      await stage.clock.advance(ms);
      stage.crash();
      await stage.clock.advance(1_000);
      const after = stage.turn(address, before.stored, 'turn-1', true);
      after.finish({ items: [text(LONG)] });
      await stage.clock.advance(60_000);
      expect(after.delivery, `died after ${ms} ms`).toEqual({ delivered: true });
      expectOneFile(stage);
    }
  });
});
