import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asCode } from '../../src/bridge/text/as-code.ts';
import { machinesText } from '../../src/bridge/words/status.ts';
import { noticePosts } from '../../src/slack/render/notice.ts';
import { runs } from '../support/runs.ts';
import { documents, judge } from './pings-links.ts';

describe('foreign text in Slack messages', () => {
  it('pings no person and hides no address', () => {
    fc.assert(fc.property(documents, judge), { numRuns: runs(120) });
  });

  it('already escaped: stays text, also in lists of dropped messages', () => {
    const [post] = noticePosts(
      `Stopped; dropped:\n- <@U01ALICE>: ${asCode('please &lt;!subteam^S012&gt; &amp;lt;@U02BOB&amp;gt; look')}`,
    );
    const sent = JSON.stringify([post?.blocks, post?.text]);
    expect(sent).toContain('<@U01ALICE>');
    expect(sent).not.toMatch(/<!subteam|<@U02BOB/);
  });

  it('as code: cannot reorder what we say after it', () => {
    const text = machinesText([{ name: 'build\u202Ebox\u2066', isOnline: true }]);
    expect(JSON.stringify(noticePosts(text))).toContain('`build⟨U+202E⟩box⟨U+2066⟩` (online)');
    expect(asCode('می\u200Cخواهم')).toBe('`می\u200Cخواهم`');
  });

  it('with our internal marks: is not read as a mention', () => {
    const [post] = noticePosts('<@U01ALICE> \u{F0000} \u{F0001}');
    expect(JSON.stringify(post?.blocks).match(/U01ALICE/g)).toHaveLength(1);
  });
});
