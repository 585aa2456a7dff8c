import { describe, expect, it } from 'vitest';
import { permalink } from '../../../src/slack/render/permalink.ts';

const root = '1700000000.000100';

describe('the address of a message', () => {
  it('is that of "Copy link", for a reply with its thread', () => {
    const of = (ts: string, threadTs: string | null) =>
      permalink({ channel: 'C01GEN', ts, threadTs }, 'https://team.slack.com/');
    expect(of(root, root)).toBe('https://team.slack.com/archives/C01GEN/p1700000000000100');
    expect(of('1700000001.000200', root)).toBe(
      `https://team.slack.com/archives/C01GEN/p1700000001000200?thread_ts=${root}&cid=C01GEN`,
    );
    expect(of(root, null)).toBe('https://team.slack.com/archives/C01GEN/p1700000000000100');
  });

  it('workspace unknown or odd: there is none', () => {
    for (const workspace of [null, '', 'javascript:alert(1)//', 'https://team.slack.com/?x=', 'http://team.slack.com/'])
      expect(permalink({ channel: 'C01GEN', ts: root, threadTs: null }, workspace)).toBeNull();
  });
});
