import { makeToken, makeTurnId } from '../../src/bridge/ids.ts';
import type { TurnView } from '../../src/bridge/view/turn.ts';
import { mrkdwnSpans } from '../../src/slack/inbound/mrkdwn.ts';
import { parseMarkdown } from '../../src/slack/render/ast.ts';
import { noticePosts } from '../../src/slack/render/notice.ts';
import { createRenderer, renderPosts } from '../../src/slack/render/posts.ts';
import { simplerPosts } from '../../src/slack/render/simpler.ts';

/** Texts that cost other parsers the square or the cube of their length: each repeated without end. */
export const MOTIFS = [
  ...['> - ', '> ', '1. ', '- - > ', '* - + ', '- > 1. ', '> a\n\n', '- a\n', '  - a\n', '1.\n', '\n- '],
  ...['*a_', '*a**', '**a', 'a*', '_a_b', '*a* ', '~~a', '~a~', '*.a', '*a**b***c', '***', '[*', '*['],
  ...['[a](b', '[a](', '[', ']', '![', '[a]', '[a][b]', '[](', '[a](<b', '[a](b "', '[a]: b\n', '[[', '[a\n'],
  ...[
    '<',
    '<a',
    '<http://a>',
    '<a@b.c>',
    'www.',
    'www.a_',
    'http://',
    'https://a.b/(',
    'a@b.',
    'a@',
    '.).',
    '&',
    '&#',
    '&amp;',
  ],
  ...[
    '`',
    '`a',
    '``a`',
    '```\n',
    '~~~\n',
    '|',
    '|a|\n',
    'a|b\n-|-\n',
    '|-|\n',
    '=\n',
    'a\n===\n',
    '#',
    '# a\n',
    '---\n',
  ],
  ...[
    '\\',
    '\\[',
    '\\(',
    '$',
    '$a$',
    '$$a',
    ' ',
    '\t',
    '\n',
    '\r\n',
    'a \n',
    'a\\\n',
    'x  ',
    'a',
    '😀',
    'e\u0301',
    '\u202e',
  ],
];

export const repeated = (motif: string, length: number) =>
  motif.repeat(Math.ceil(length / motif.length)).slice(0, length);

export function answer(markdown: string, over: boolean): TurnView {
  return {
    turn: makeTurnId('hostile'),
    address: { team: 'T1', channel: 'C1', threadTs: '1.000001' },
    notPassedOn: [],
    items: [{ kind: 'text', markdown }],
    live: over ? null : { activity: { kind: 'writing' }, stop: makeToken('hostile'), queued: 0 },
    ending: over ? { outcome: 'done', by: null, line: null, tools: 0, durationMs: 1 } : null,
  };
}

/** What reads foreign texts, in and out. */
export const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  parse: parseMarkdown,
  render: (text) => renderPosts(answer(text, true)),
  'one more edit': (text) => {
    const render = createRenderer();
    render(answer(text.slice(0, -20), false));
    return render(answer(text, false));
  },
  simpler: (text) => renderPosts(answer(text, true)).map((post) => simplerPosts(post, 'mrkdwn')),
  notice: noticePosts,
  'a message': mrkdwnSpans,
};

/**
 * How many letters are looked at or copied while a text is read: the same on every machine, whatever else it does. Only
 * the calls that our readers are made of are counted.
 */
export function steps(read: (text: string) => unknown, text: string): number {
  const { charAt, charCodeAt, slice } = String.prototype;
  let count = 0;
  String.prototype.charAt = function (at) {
    count += 1;
    return charAt.call(this, at);
  };
  String.prototype.charCodeAt = function (at) {
    count += 1;
    return charCodeAt.call(this, at);
  };
  String.prototype.slice = function (from, to) {
    const cut = slice.call(this, from, to);
    count += 1 + cut.length;
    return cut;
  };
  try {
    read(text);
  } finally {
    Object.assign(String.prototype, { charAt, charCodeAt, slice });
  }
  return count;
}
