import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeMessageKey } from '../../../src/bridge/ids.ts';
import type { InboxItem } from '../../../src/bridge/record/thread-record.ts';
import { linksIn } from '../../../src/bridge/turn/links.ts';

function item(text: string): InboxItem {
  const ts = '1000.000001';
  const key = makeMessageKey({ team: 'T1', channel: 'C1', ts });
  return { key, ts, user: 'U1', spans: [{ kind: 'text', text }], files: [], receivedAt: 0 };
}

const at = (channel: string, n: number, query = '') =>
  `https://acme.slack.com/archives/${channel}/p176760360000000${n}${query}`;

describe('links to messages', () => {
  it('are found with channel, time and thread, each once', () => {
    const reply = at('C2', 2, '?thread_ts=1767603500.000001&cid=C2');
    expect(linksIn([item(`see ${at('C1', 1)}, (${reply}) and ${at('C1', 1)}`)])).toEqual([
      { channel: 'C1', ts: '1767603600.000001', threadTs: null },
      { channel: 'C2', ts: '1767603600.000002', threadTs: '1767603500.000001' },
    ]);
  });

  it('are followed three at most', () => {
    expect(linksIn([item([1, 2, 3, 4].map((n) => at('C1', n)).join(' '))])).toHaveLength(3);
  });

  it('are left out where Slack has put the message beside them', () => {
    expect(linksIn([item(`see ${at('C1', 1)}\n[message of Bo behind ${at('C1', 1)}]\n> hi`)])).toEqual([]);
  });

  it('of other sites and other pages are none', () => {
    const others = ['https://acme.slack.com/archives/C1', 'https://evil.example/archives/C1/p1767603600000001'];
    expect(linksIn(others.map(item))).toEqual([]);
    expect(linksIn([item('https://acme.slack.com.evil.example/archives/C1/p1767603600000001')])).toEqual([]);
  });

  it('are looked for in any text without an error', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => linksIn([item(text)]).length <= 3));
  });
});
