import { describe, expect, it } from 'vitest';
import { hostBehind } from '../../../src/slack/render/links.ts';
import { neutralizeMarkdown } from '../../../src/slack/render/neutralize.ts';

/** Labels that make people believe that they are led elsewhere. */
const DISGUISES = [
  'github.com',
  'https://github.com/login',
  'http://10.0.0.5/admin',
  '10.0.0.5',
  '127.0.0.1:8080',
  'https://[::1]/x',
  '[::1]:80',
  '::1',
  'http://intranet/wiki',
  'intranet:8080',
  'localhost',
  '//github.com/x',
  'https:github.com',
  'ftp://github.com',
  'http://2130706433',
  'http://0x7f.1/',
  'github．com',
  'github。com',
  'github｡com',
  'github․com',
  'github·com',
  'github.com∕x',
  'github⁄x',
  'github：8080',
  'alice＠github.com',
  'ｇithub.com',
  'git\u034Fhub.com',
  'github\uFE0F.com',
  'git\u3164hub.com',
  'git\u115Fhub.com',
  'git\u{E0067}hub.com',
  'git\u00ADhub.com',
  'deta\u200Bils',
  'github.com evil.example',
  'evil.example, github.com',
  'evil.example→github.com',
  'evil.example (github.com)',
  'alice@github.com',
  'github.com@evil.example',
  'github.com.',
  'www.github.com',
  'gіthub.com',
];

describe('the host behind a link', () => {
  it('is shown for every label that looks like another address', () => {
    for (const label of DISGUISES) {
      expect(hostBehind(label, 'https://evil.example/x'), label).toBe('evil.example');
      expect(hostBehind(label, 'mailto:a@evil.example'), label).toBe('a@evil.example');
    }
  });

  it('is shown whatever sign surrounds an address that names another host', () => {
    const signs = [...'!"#$%&\'()*+,-.:;<=>?@[]^_`{|}~«»„“”→•…–、。（）【】', ' ', '¿', '1 ', 'x ', 'é'];
    for (const sign of signs) {
      for (const address of ['https://github.com/login', 'https://[::1]/x', 'http://10.0.0.5', '//github.com']) {
        for (const label of [sign + address, `${address}${sign}`, `see ${sign}${address}${sign} now`])
          expect(hostBehind(label, 'https://evil.example/x'), label).toBe('evil.example');
      }
    }
  });

  it('is shown for another port, a user part or non-ASCII letters', () => {
    expect(hostBehind('github.com', 'https://github.com:8443/')).toBe('github.com:8443');
    expect(hostBehind('https://github.com@evil.example', 'https://github.com@evil.example')).toBe('evil.example');
    expect(hostBehind('https://аpple.com', 'https://аpple.com')).toBe('xn--pple-43d.com');
    expect(hostBehind('details', 'https://bücher.example')).toBe('xn--bcher-kva.example');
    expect(hostBehind('http://10.0.0.5/admin', 'http://10.0.0.6/admin')).toBe('10.0.0.6');
    expect(hostBehind('http://intranet/wiki', 'http://intranet2/wiki')).toBe('intranet2');
    expect(hostBehind('https://[::1]/x', 'https://[::2]/x')).toBe('[::2]');
  });

  it('is shown for every mail link that does not name its address', () => {
    expect(hostBehind('write to us', 'mailto:a@evil.example')).toBe('a@evil.example');
    expect(hostBehind('a@b.example', 'mailto:a@b.example?bcc=x@evil.example')).toBe('a@b.example?…');
    expect(hostBehind('a@b.example', 'mailto:a@b.example')).toBeNull();
    expect(hostBehind('mailto:A@b.example', 'mailto:a@b.example')).toBeNull();
  });

  it('is hidden for plain words and for labels naming it themselves', () => {
    const words = [
      'details',
      'PR #12',
      'and/or',
      '12:30',
      'v2.1.0',
      '½ price',
      'Größe',
      '⚠️ read this',
      '👩‍👩‍👧',
      'Slack · Letta',
    ];
    for (const label of [...words, 'コード・レビュー', 'note: read'])
      expect(hostBehind(label, 'https://a.example'), label).toBeNull();
    for (const [label, url] of [
      ['example.com', 'https://example.com/'],
      ['example.com/docs/index.html', 'https://example.com/docs/index.html'],
      ['www.example.com', 'https://example.com'],
      ['see https://example.com/a', 'https://example.com/a'],
      ['https://example.com/?q=a@b.c', 'https://example.com/?q=a@b.c'],
      ['http://10.0.0.5/admin', 'http://10.0.0.5/admin'],
      ['https://[::1]/x', 'https://[::1]/x'],
      ['http://intranet/wiki', 'http://intranet/wiki'],
      ['https://example.com:8443', 'https://example.com:8443/x'],
      ['[https://example.com]', 'https://example.com'],
      ['«https://example.com/a»', 'https://example.com/a'],
      ['(https://example.com)', 'https://example.com'],
    ] as const)
      expect(hostBehind(label, url), label).toBeNull();
  });

  it('is shown in rendered Markdown for every kind of link', () => {
    const shown = (text: string) => neutralizeMarkdown(text);
    expect(shown('[http://10.0.0.5/admin](https://evil.example)')).toContain('(evil.example)');
    expect(shown('![github．com](https://evil.example)')).toContain('(evil.example)');
    expect(shown('[github\u034F.com][1]\n\n[1]: https://evil.example')).toContain('(evil.example)');
    expect(shown('https://аpple.com')).toContain('(xn--pple-43d.com)');
    expect(shown('<https://github.com@evil.example>')).toContain('(evil.example)');
  });
});
