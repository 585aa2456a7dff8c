import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Span } from '../../../src/bridge/inbound.ts';
import { inlineCode } from '../../../src/slack/inbound/span-builder.ts';
import { messageSpans } from '../../../src/slack/inbound/spans.ts';

function fromText(text: string): Span[] {
  return messageSpans({ text });
}

function fromRichText(...elements: unknown[]): Span[] {
  return messageSpans({ text: 'not this', blocks: [{ type: 'rich_text', block_id: 'x', elements }] });
}

function section(...elements: unknown[]) {
  return { type: 'rich_text_section', elements };
}

function text(value: string, style?: Record<string, boolean>) {
  return style ? { type: 'text', text: value, style } : { type: 'text', text: value };
}

function onlyText(spans: Span[]): string {
  expect(spans.every((span) => span.kind === 'text')).toBe(true);
  return spans.map((span) => (span.kind === 'text' ? span.text : '')).join('');
}

/** How a Markdown reader finds the content of a fenced block that fills the text. */
function fenceContent(markdown: string): string {
  const found = /^(`{3,})\n([\s\S]*)\n\1$/.exec(markdown);
  const [, fence = '', content = ''] = found ?? [];
  expect(found).not.toBeNull();
  expect(content.split('\n').some((line) => line.trim().startsWith(fence))).toBe(false);
  return content;
}

function escapeForSlack(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const nasty = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('`', '```', '<@U1>', '&lt;', '&amp;lt;', '<!here>', '\n', '*', '~', '|', '<https://x.y|z>', '> '),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    ),
    minLength: 1,
    maxLength: 30,
  })
  .filter((value) => value !== '');

describe('rich text from Slack', () => {
  test('keeps pasted code byte for byte, whatever it contains', () => {
    fc.assert(
      fc.property(nasty, (code) => {
        const spans = fromRichText({ type: 'rich_text_preformatted', border: 0, elements: [text(code)] });
        expect(fenceContent(onlyText(spans))).toBe(code);
      }),
    );
  });

  test('keeps text that looks like a token as text', () => {
    fc.assert(
      fc.property(nasty, (typed) => {
        expect(fromRichText(section(text(typed)))).toEqual([{ kind: 'text', text: typed }]);
      }),
    );
  });

  test('keeps inline code with backticks or blanks at its edges', () => {
    expect(onlyText(fromRichText(section(text('a`b', { code: true }))))).toBe('``a`b``');
    expect(inlineCode('`x`')).toBe('`` `x` ``');
    expect(inlineCode(' x ')).toBe('`  x  `');
  });

  test('keeps mentions as references, and links in code as typed', () => {
    expect(
      fromRichText(
        section(
          { type: 'user', user_id: 'U1' },
          text(' see '),
          { type: 'channel', channel_id: 'C1' },
          text(' and '),
          { type: 'usergroup', usergroup_id: 'S1' },
          text(' '),
          { type: 'broadcast', range: 'here' },
        ),
      ),
    ).toEqual([
      { kind: 'user', id: 'U1' },
      { kind: 'text', text: ' see ' },
      { kind: 'channel', id: 'C1', name: null },
      { kind: 'text', text: ' and ' },
      { kind: 'group', id: 'S1', name: null },
      { kind: 'text', text: ' ' },
      { kind: 'broadcast', range: 'here' },
    ]);
    const link = { type: 'link', url: 'http://example.com', text: 'example.com' };
    const code = { type: 'rich_text_preformatted', elements: [text('curl '), link] };
    expect(onlyText(fromRichText(code))).toBe('```\ncurl example.com\n```');
    expect(onlyText(fromRichText(section(link)))).toBe('http://example.com');
    expect(onlyText(fromRichText(section({ ...link, text: 'the docs' })))).toBe('the docs (http://example.com)');
  });

  test('becomes Markdown with marks right at the words they format', () => {
    const spans = fromRichText(
      section(text('now '), text('very ', { bold: true }), text('big', { bold: true }), text(' '), {
        type: 'user',
        user_id: 'U1',
        style: { italic: true },
      }),
    );
    expect(spans).toEqual([
      { kind: 'text', text: 'now **very big** _' },
      { kind: 'user', id: 'U1' },
      { kind: 'text', text: '_' },
    ]);
    expect(onlyText(fromRichText(section(text('gone ', { strike: true, bold: true }), text('here'))))).toBe(
      '**~~gone~~** here',
    );
    expect(onlyText(fromRichText(section(text('  ', { bold: true }))))).toBe('  ');
  });

  test('puts lists, quotes and code on lines of their own', () => {
    const spans = fromRichText(
      section(text('Do:\n')),
      { type: 'rich_text_list', style: 'ordered', indent: 0, elements: [section(text('one\nmore'))] },
      { type: 'rich_text_list', style: 'bullet', indent: 1, elements: [section(text('deep'))] },
      { type: 'rich_text_list', style: 'ordered', indent: 0, offset: 1, elements: [section(text('two'))] },
      { type: 'rich_text_quote', elements: [text('said\nso')] },
      { type: 'rich_text_preformatted', elements: [text('x = 1')] },
      section(text('ok?')),
    );
    expect(onlyText(spans)).toBe('Do:\n1. one\n   more\n    - deep\n2. two\n> said\n> so\n```\nx = 1\n```\nok?');
  });

  test('falls back to the message text on an unknown element', () => {
    const blocks = [{ type: 'rich_text', elements: [section({ type: 'hologram', text: '?' })] }];
    expect(messageSpans({ text: 'plain', blocks })).toEqual([{ kind: 'text', text: 'plain' }]);
    expect(messageSpans({ text: 'plain', blocks: [{ type: 'section' }] })).toEqual([{ kind: 'text', text: 'plain' }]);
    expect(messageSpans({ text: 'plain', blocks: 'no' })).toEqual([{ kind: 'text', text: 'plain' }]);
  });
});

describe('mrkdwn from Slack', () => {
  test('keeps pasted code byte for byte', () => {
    fc.assert(
      fc.property(
        nasty.filter((code) => !code.includes('`') && !/^\n|\n$/.test(code)),
        (code) => {
          expect(fenceContent(onlyText(fromText(`\`\`\`${escapeForSlack(code)}\`\`\``)))).toBe(code);
        },
      ),
    );
  });

  test('is decoded once, and typed text never becomes a token', () => {
    fc.assert(
      fc.property(
        nasty.filter((typed) => !/[`*~]/.test(typed)),
        (typed) => {
          expect(fromText(escapeForSlack(typed))).toEqual([{ kind: 'text', text: typed }]);
        },
      ),
    );
  });

  test('turns tokens into references and readable links', () => {
    expect(fromText('<@U1> ask <@W2|bo> in <#C1|gen> or <#C2|> with <!subteam^S1|@ops> <!here>')).toEqual([
      { kind: 'user', id: 'U1' },
      { kind: 'text', text: ' ask ' },
      { kind: 'user', id: 'W2' },
      { kind: 'text', text: ' in ' },
      { kind: 'channel', id: 'C1', name: 'gen' },
      { kind: 'text', text: ' or ' },
      { kind: 'channel', id: 'C2', name: null },
      { kind: 'text', text: ' with ' },
      { kind: 'group', id: 'S1', name: 'ops' },
      { kind: 'text', text: ' ' },
      { kind: 'broadcast', range: 'here' },
    ]);
    expect(onlyText(fromText('<https://a.b/?x=1&amp;y=2|docs> <https://a.b> <mailto:a@b.c|a@b.c>'))).toBe(
      'docs (https://a.b/?x=1&y=2) https://a.b a@b.c',
    );
    expect(onlyText(fromText('at <!date^1392734382^{date}|Feb 18>, `curl <http://x.y|x.y>`'))).toBe(
      'at Feb 18, `curl x.y`',
    );
    expect(onlyText(fromText('a < b, <> and &amp;lt;'))).toBe('a < b, <> and &lt;');
  });

  test('turns bold and strike into Markdown, leaving arithmetic alone', () => {
    expect(onlyText(fromText('*do* ~not~ _it_ 2*3*4 * x * `*c*`'))).toBe('**do** ~~not~~ _it_ 2*3*4 * x * `*c*`');
  });

  test('never throws, whatever the text is', () => {
    fc.assert(fc.property(nasty, (raw) => void fromText(raw)));
  });
});
