import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pingsOf } from '../../../sandbox/slack/text/pings.ts';
import { richText } from '../../../sandbox/slack/text/rich-text.ts';
import { appText, clientText, escapeText, unescapeText } from '../../../sandbox/slack/text/tokens.ts';

const NAMES = {
  mention: (name: string) => ({ agent: '<@U0BOT>', alice: '<@U01ALICE>', here: '<!here>' })[name.toLowerCase()],
  channel: (name: string) => ({ general: '<#C01GEN>' })[name],
};

describe('text that people type in the small Slack', () => {
  test.each([
    ['@agent hi @Alice, @nobody and me@agent.example', '<@U0BOT> hi <@U01ALICE>, @nobody and me@agent.example'],
    ['<@U0BOT> a < b && c > d', '<@U0BOT> a &lt; b &amp;&amp; c &gt; d'],
    ['see #general or <#C01GEN>', 'see <#C01GEN> or <#C01GEN>'],
    ['`@agent <@U0BOT>` stays', '`@agent &lt;@U0BOT&gt;` stays'],
    ['```\nif (a<b) @here\n```', '```\nif (a&lt;b) @here\n```'],
    ['go to https://a.example/x?y=1&z=2.', 'go to <https://a.example/x?y=1&amp;z=2>.'],
    ['<script>', '&lt;script&gt;'],
  ])('is sent escaped, with names and links as tokens: %s', (text, sent) => {
    expect(clientText(text, NAMES)).toBe(sent);
  });

  test('decodes back to itself when it has no names or links', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab<>&;`\n -amplt') }), (text) => {
        expect(unescapeText(clientText(text, NAMES))).toBe(text);
      }),
    );
  });
});

describe('text that an app sends in the small Slack', () => {
  test('is escaped once, except for its tokens', () => {
    expect(appText('a & b <tag> <@U1> &lt;x&gt; &amp;')).toBe('a &amp; b &lt;tag&gt; <@U1> &lt;x&gt; &amp;');
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(appText(appText(text))).toBe(appText(text));
      }),
    );
  });
});

describe('rich text made by the small Slack', () => {
  const elements = (text: string) => richText(text, 'b').elements;

  test('has elements for tokens, styles, links and code', () => {
    expect(elements('<@U1> *bold* _it_ `a&lt;b` <https://x.example|X> <!here> :+1:')).toEqual([
      {
        type: 'rich_text_section',
        elements: [
          { type: 'user', user_id: 'U1' },
          { type: 'text', text: ' ' },
          { type: 'text', text: 'bold', style: { bold: true } },
          { type: 'text', text: ' ' },
          { type: 'text', text: 'it', style: { italic: true } },
          { type: 'text', text: ' ' },
          { type: 'text', text: 'a<b', style: { code: true } },
          { type: 'text', text: ' ' },
          { type: 'link', url: 'https://x.example', text: 'X' },
          { type: 'text', text: ' ' },
          { type: 'broadcast', range: 'here' },
          { type: 'text', text: ' ' },
          { type: 'emoji', name: '+1' },
        ],
      },
    ]);
  });

  test('has parts of their own for fences, quotes and lists', () => {
    const parts = elements('see\n```\nx = 1\n  y\n```\n&gt; said\n• one\n• two\n1. first') as { type: string }[];
    expect(parts.map(({ type }) => type)).toEqual([
      'rich_text_section',
      'rich_text_preformatted',
      'rich_text_quote',
      'rich_text_list',
      'rich_text_list',
    ]);
    expect(parts[1]).toMatchObject({ elements: [{ type: 'text', text: 'x = 1\n  y' }] });
  });

  test('can be made from any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(richText(escapeText(text), 'b').type).toBe('rich_text');
      }),
    );
  });
});

describe('pings found by the small Slack', () => {
  const pings = (blocks: Record<string, unknown>[], text = '') => pingsOf({ text, blocks, attachments: [] });
  const section = (text: string, verbatim?: boolean) => ({
    type: 'section',
    text: { type: 'mrkdwn', text, ...(verbatim !== undefined && { verbatim }) },
  });

  test('come from text, sections, context, markdown, attachments and rich text', () => {
    expect(pings([], '<!channel> <@U1> <!subteam^S1>')).toEqual(['S1', 'U1', 'channel']);
    expect(pings([section('<!here>', true)])).toEqual(['here']);
    expect(pings([{ type: 'context', elements: [{ type: 'mrkdwn', text: '<@U2|x>' }] }])).toEqual(['U2']);
    expect(pings([{ type: 'markdown', text: 'hello <!everyone>' }])).toEqual(['everyone']);
    expect(pingsOf({ text: '', blocks: [], attachments: [{ text: '<@U3>' }] })).toEqual(['U3']);
    expect(pings([richText('<@U4> <!channel>', 'b')])).toEqual(['U4', 'channel']);
  });

  test('do not come from escaped text, plain text or names', () => {
    expect(pings([{ type: 'markdown', text: '&lt;!here&gt; @here' }], '&lt;@U1&gt; @channel')).toEqual([]);
    expect(pings([{ type: 'header', text: { type: 'plain_text', text: '<!here>' } }])).toEqual([]);
    expect(pings([section('@here', true)])).toEqual([]);
  });

  test('come from a bare @here in mrkdwn or with link_names', () => {
    expect(pings([section('@here')])).toEqual(['here']);
    expect(pingsOf({ text: '@channel', blocks: [], attachments: [], linkNames: true })).toEqual(['channel']);
  });
});
