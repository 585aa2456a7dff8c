import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Span } from '../../../src/bridge/inbound.ts';
import { noNames, spansText } from '../../../src/bridge/turn/prompt.ts';
import { contentSpans, type RawContent } from '../../../src/slack/inbound/content.ts';
import { mentionsUser } from '../../../src/slack/inbound/mentions.ts';
import { normalizeEvent } from '../../../src/slack/inbound/normalize.ts';

interface AppMessage {
  app: string;
  event: Record<string, unknown>;
  reads: string[];
  once: string;
  mentions: boolean;
}

const apps = JSON.parse(
  readFileSync(new URL('../../fixtures/slack/apps.json', import.meta.url), 'utf8'),
) as AppMessage[];
const us = { teamId: 'T1', botUserId: 'U0BOT', botId: 'B0BOT' };
const at = { channel: 'C1', channel_type: 'channel', ts: '1767603600.000100' };

const textOf = (spans: readonly Span[]) => spansText(spans, noNames, 'U0BOT');
const read = (message: RawContent, hasPreviews = false) => textOf(contentSpans(message, { hasPreviews }));
const section = (text: string) => ({ type: 'section', text: { type: 'mrkdwn', text } });
const rich = (...elements: unknown[]) => [{ type: 'rich_text', elements }];
const typed = (text: string, style?: object) => ({ type: 'text', text, ...(style && { style }) });
const mention = (style?: object) => ({ type: 'user', user_id: 'U0BOT', ...(style && { style }) });
const part = (type: string, ...elements: unknown[]) => ({ type, elements });

describe('a message of an app', () => {
  test.each(apps.map((each) => [each.app, each] as const))(
    '%s: every line people see is read, once',
    (_app, { event, reads, once, mentions }) => {
      const said = normalizeEvent({ type: 'event_callback', team_id: 'T1', event: { ...event, ...at } }, us);
      if (said.kind !== 'message') throw new Error(said.reason);
      const text = textOf(said.message.spans);
      for (const line of reads) expect(text).toContain(line);
      expect(text.split(once)).toHaveLength(2);
      expect(said.message.mentionsBot).toBe(mentions);
      expect(said.message.unread).toBeUndefined();
    },
  );

  test('with only a fallback: the fallback is read', () => {
    expect(read({ text: '', attachments: [{ fallback: 'disk &gt; 90 %' }] })).toBe('disk > 90 %');
  });

  test('repeating its text in blocks or attachments: read once', () => {
    const words = 'Deployment 4711 of shop has failed';
    expect(read({ text: words, blocks: [section(`*${words}*`)] })).toBe(words);
    expect(read({ text: words, attachments: [{ text: words, fallback: words }] })).toBe(words);
  });

  test('with a short text above blocks: both are read, the text first', () => {
    expect(read({ text: 'Deploy failed', blocks: [section('npm ERR! exit 1')] })).toBe(
      'Deploy failed\nnpm ERR! exit 1',
    );
  });

  test('with blocks of later years: their texts are read', () => {
    const plain = (text: string) => ({ type: 'plain_text', text });
    const blocks = [
      { type: 'alert', level: 'warning', text: plain('Quota low') },
      {
        type: 'card',
        title: plain('Order 7'),
        body: { type: 'mrkdwn', text: 'two _items_' },
        actions: [{ text: plain('Open') }],
      },
      { type: 'container', title: plain('Box'), children: [section('inside')] },
      { type: 'plan', title: 'Plan A', tasks: [{ type: 'task_card', title: 'Step 1', status: 'complete' }] },
      { type: 'video', title: plain('Demo'), title_url: 'https://v.example/1', alt_text: 'demo' },
      {
        type: 'data_table',
        caption: 'Costs',
        rows: [
          [
            { type: 'raw_text', text: 'EU' },
            { type: 'raw_number', value: 3 },
          ],
        ],
      },
      { type: 'input', label: plain('Your name') },
      { type: 'invented_in_2031', nothing: 'known' },
    ];
    const text = read({ text: '', blocks });
    const lines = ['Quota low', 'Order 7', 'two _items_', '[buttons: Open]', 'Box', 'inside', 'Plan A', 'Step 1'];
    for (const line of [...lines, '[video: Demo (https://v.example/1)]', 'Costs', '| EU | 3 |', 'Your name'])
      expect(text.split('\n')).toContain(line);
  });
});

describe('content beside the text', () => {
  const table = {
    type: 'table',
    rows: [
      [
        { type: 'raw_text', text: 'a' },
        { type: 'raw_text', text: 'b|c' },
      ],
    ],
  };

  test('a pasted table beside rich text is read, as block or attachment', () => {
    const words = part('rich_text_section', typed('see the table below'));
    for (const message of [
      { text: 'see', blocks: [...rich(words), table] },
      { text: 'see', blocks: rich(words), attachments: [{ blocks: [table] }] },
    ]) {
      expect(read(message)).toContain('see the table below');
      expect(read(message)).toContain('| a | b\\|c |\n| --- | --- |');
    }
  });

  test('a forwarded message is read from message_blocks, attachments, files', () => {
    const shared = { is_msg_unfurl: true, is_share: true, author_name: 'Bo', fallback: 'worst' };
    const blocks = rich(part('rich_text_section', typed('the words')));
    expect(read({ text: '', attachments: [{ ...shared, message_blocks: [{ message: { blocks } }] }] })).toBe(
      '[forwarded message of Bo]\n> the words',
    );
    expect(read({ text: '', attachments: [{ ...shared, attachments: [{ title: 'Alert', text: 'cpu' }] }] })).toBe(
      '[forwarded message of Bo]\n> **Alert**\n> cpu',
    );
    expect(read({ text: '', attachments: [{ ...shared, files: [{ name: 'a.pdf', size: 2_100_000 }] }] })).toBe(
      '[forwarded message of Bo]\n> [file: a.pdf, 2.1 MB]',
    );
    expect(read({ text: '', attachments: [{ is_share: true, author_name: 'Bo' }] })).toBe(
      '[message of Bo that cannot be read here]',
    );
  });

  test('a link preview is read only where it is wanted, shortened', () => {
    const preview = { from_url: 'https://x.example/1', title: 'Ticket 1', text: 'long '.repeat(200), fallback: 'f' };
    const message = { text: 'see https://x.example/1', attachments: [preview] };
    expect(read(message)).toBe('see https://x.example/1');
    expect(read(message, true)).toMatch(/\n\[preview of https:\/\/x\.example\/1: Ticket 1: long .{200,300}…\]$/);
  });

  test('rich text of an unknown kind in part: the rest is read', () => {
    const blocks = [
      ...rich(part('rich_text_section', typed('kept'), { type: 'hologram' }), part('rich_text_poem')),
      section('and this, which is long enough'),
    ];
    expect(read({ text: '', blocks })).toBe('kept\nand this, which is long enough');
  });

  test('too long: cut with a mark that counts the rest', () => {
    const blocks = Array.from({ length: 50 }, (_, n) => section(`${n} ${'x'.repeat(2_900)}`));
    const text = read({ text: '', blocks });
    expect(text.length).toBeLessThan(60_100);
    expect(text).toMatch(/\n\[cut here: \d+ more characters\]$/);
  });
});

describe('a mention', () => {
  const counts = (message: RawContent) => mentionsUser(message, 'U0BOT');

  test.each<[string, RawContent]>([
    ['text', { text: 'hey <@U0BOT> look' }],
    ['text with a label', { text: '<@U0BOT|agent> look' }],
    ['rich text', { text: '', blocks: rich(part('rich_text_section', mention())) }],
    ['a list', { blocks: rich({ ...part('rich_text_list', part('rich_text_section', mention())), style: 'bullet' }) }],
    ['a section', { text: 'alert', blocks: [section('<@U0BOT> look')] }],
    ['a field', { blocks: [{ type: 'section', fields: [{ type: 'mrkdwn', text: '<@U0BOT>' }] }] }],
    ['a markdown block', { blocks: [{ type: 'markdown', text: '<@U0BOT> look' }] }],
    ['an app’s attachment', { text: '', attachments: [{ pretext: '<@U0BOT>' }] }],
    ['blocks of an attachment', { text: '', attachments: [{ blocks: [section('<@U0BOT>')] }] }],
    ['text below a quote', { text: '&gt; he said\n<@U0BOT> true?' }],
  ])('in %s counts', (_where, message) => {
    expect(counts(message)).toBe(true);
  });

  test.each<[string, RawContent]>([
    ['a quote', { text: '&gt; <@U0BOT> do it\nsays who?' }],
    ['a long quote', { text: '&gt;&gt;&gt; a\n<@U0BOT> do it' }],
    ['code', { text: 'type `<@U0BOT> go`' }],
    ['a fence', { text: '```\n<@U0BOT> go\n```' }],
    ['a rich quote', { text: '<@U0BOT>', blocks: rich(part('rich_text_quote', mention())) }],
    ['rich code', { text: '<@U0BOT>', blocks: rich(part('rich_text_section', mention({ code: true }))) }],
    ['preformatted text', { text: '<@U0BOT>', blocks: rich(part('rich_text_preformatted', mention())) }],
    ['a forwarded message', { text: '', attachments: [{ is_share: true, text: '<@U0BOT> do it' }] }],
    ['a link preview', { text: '', attachments: [{ from_url: 'https://x.example', text: '<@U0BOT>' }] }],
    ['typed text', { text: '&lt;@U0BOT&gt;', blocks: rich(part('rich_text_section', typed('<@U0BOT>'))) }],
    ['another id', { text: '<@U0BOTTLE>' }],
  ])('in %s does not count', (_where, message) => {
    expect(counts(message)).toBe(false);
  });
});

describe('any message', () => {
  const word = fc.stringMatching(/^[a-z]{8}$/);
  const textObject = word.map((text) => ({ type: 'mrkdwn', text }));
  const block = fc.oneof(
    fc.record({ type: fc.constant('section'), text: textObject, fields: fc.array(textObject, { maxLength: 3 }) }),
    fc.record({ type: fc.constant('context'), elements: fc.array(textObject, { minLength: 1, maxLength: 3 }) }),
    fc.record({ type: fc.constant('markdown'), text: word }),
    fc.record({ type: fc.constant('alert'), text: textObject }),
  );
  const attachment = fc.record({
    pretext: word,
    title: word,
    text: word,
    fields: fc.array(fc.record({ title: word, value: word }), { maxLength: 2 }),
    footer: word,
    blocks: fc.array(block, { maxLength: 2 }),
  });
  const message = fc.record({
    text: fc.oneof(fc.constant(''), word),
    blocks: fc.array(block, { maxLength: 4 }),
    attachments: fc.array(attachment, { maxLength: 3 }),
  });
  const wordsIn = (value: unknown): string[] => JSON.stringify(value).match(/(?<=:")[a-z]{8}(?=")/g) ?? [];

  test('has each of its words in what is read', () => {
    fc.assert(
      fc.property(message, (said) => {
        const text = read(said);
        for (const each of wordsIn(said).filter((known) => known !== 'markdown')) expect(text).toContain(each);
      }),
    );
  });

  test('of any shape is read without an error, and bounded', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (text, blocks, attachments) => {
        expect(read({ text, blocks, attachments }, true).length).toBeLessThan(61_000);
        mentionsUser({ text, blocks, attachments }, 'U0BOT');
      }),
    );
  });
});
