import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMarkdown, wordsOf } from '../../../src/slack/render/ast.ts';
import { escapeFormulas } from '../../../src/slack/render/math.ts';
import { neutralizeMarkdown, neutralizeMrkdwn, neutralizePlain } from '../../../src/slack/render/neutralize.ts';
import { referenceNodes } from '../../support/markdown-reference.ts';
import { runs } from '../../support/runs.ts';
import { anyText, PINGS, pingsIn, tokens } from './markdown-arbitrary.ts';

describe('neutralizeMarkdown', () => {
  it('lets no token ping, in any Markdown construct', () => {
    const places = [
      'X',
      '`X`',
      '```\nX\n```',
      '    X',
      '> X',
      '- X',
      '| a |\n|---|\n| X |',
      '[X](https://e.example)',
      '[a](https://e.example "X")',
      '**X**',
      '# X',
      '<div>X</div>',
      '![X](https://e.example)',
      '[X]: https://e.example',
      'a\\X',
      '``` X\n```',
      '[a](X)',
      '[a](https://e.example/X)',
    ];
    for (const form of ['full', 'lean'] as const)
      for (const place of places)
        for (const token of tokens)
          expect(
            pingsIn(
              neutralizeMarkdown(
                place.replace('X', () => token),
                form,
              ),
            ),
          ).toEqual([]);
  });

  it('leaves no ping and no < outside of code in random text', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom('full' as const, 'lean' as const), (text, form) => {
        const out = neutralizeMarkdown(text, form);
        expect(pingsIn(out)).toEqual([]);
        for (const node of referenceNodes(out)) {
          if (node.type === 'text' && node.position)
            expect(out.slice(node.position.start.offset, node.position.end.offset)).not.toContain('<');
          if (node.type === 'link') expect(node.url).toMatch(/^(?:https?|mailto):/i);
          expect(node.type).not.toBe('image');
        }
      }),
      { numRuns: runs(150) },
    );
  });

  it('keeps code, quotes and & as typed', () => {
    const text =
      '> said `a < b && c > d`\n\n```cpp\nstd::vector<std::string> v; // <!-- x -->\n#include <stdio.h>\n```\n\nR&D &amp; more';
    expect(neutralizeMarkdown(text)).toBe(text);
  });

  it('shows < and > of prose and HTML as characters', () => {
    expect(neutralizeMarkdown('a < b > c <b>x</b>')).toBe('a &lt; b &gt; c &lt;b&gt;x&lt;/b&gt;');
    expect(neutralizeMarkdown('\\<div>')).toBe('&lt;div&gt;');
  });

  it('breaks a Slack token in code with an invisible joiner only', () => {
    expect(neutralizeMarkdown('`<@U1> <div> <!here>`')).toBe('`<\u2060@U1> <div> <\u2060!here>`');
  });

  it('leaves code that people copy as typed, apart from Slack tokens', () => {
    for (const code of ['`npm i @channel/sdk`', '```sh\nnpm i @channel/sdk @here && echo "<b>" > a\n```'])
      expect(neutralizeMarkdown(code)).toBe(code);
  });

  it('shows the true host when a label names another one', () => {
    expect(neutralizeMarkdown('[bank.example](https://evil.example/x)')).toBe(
      '[bank.example](https://evil.example/x) (evil.example)',
    );
    expect(neutralizeMarkdown('[https://bank.example/login](https://evil.example)')).toContain(' (evil.example)');
    expect(neutralizeMarkdown('[a@bank.example](mailto:b@evil.example)')).toContain(' (b@evil.example)');
    expect(neutralizeMarkdown('https://bank.example@evil.example/')).toContain('(evil.example)');
    for (const honest of [
      '[docs](https://a.example)',
      '[a.example](https://www.a.example/x)',
      '[www.a.example](https://a.example)',
    ])
      expect(neutralizeMarkdown(honest)).toBe(honest);
  });

  it('shows links other than http, https and mailto as text', () => {
    for (const url of [
      'javascript:alert(1)',
      'data:text/html,x',
      'slack://open',
      'vscode://x',
      './file.ts',
      'JaVaScript:x',
      'http:',
    ])
      expect(neutralizeMarkdown(`[x](${url})`)).toBe(`[x]\u2060(${url})`);
  });

  it('turns images and references into links', () => {
    expect(neutralizeMarkdown('![a plot](https://e.example/p.png)')).toBe('[a plot](https://e.example/p.png)');
    expect(neutralizeMarkdown('![](https://e.example/p.png)')).toBe('[image](https://e.example/p.png)');
    expect(neutralizeMarkdown('[![ci](https://e.example/i.svg)](https://e.example)')).toBe('[ci](https://e.example)');
    expect(neutralizeMarkdown('[a][1]\n\n[1]: https://e.example')).toBe(
      '[a](https://e.example)\n\n[1]\u2060: https://e.example',
    );
  });

  it('shows formulas as typed, whatever Markdown would make of them', () => {
    const seenOf = (text: string) => wordsOf(parseMarkdown(neutralizeMarkdown(text).replaceAll('&lt;', '\\<')).tree);
    for (const formula of [
      '$a*b*c$',
      '$x_i + \\{y_j\\}$',
      '$$\\hat\\theta_* = [1] \\\\ \\frac{*a*}{*b*}$$',
      '\\(a_1 * b_1 * c_1\\)',
      '\\[ \\begin{x} 1 & 2 \\\\ 3 < 4 \\end{x} \\]',
    ]) {
      expect(seenOf(`See ${formula} here.`)).toBe(`See ${formula} here.`);
      expect(wordsOf(parseMarkdown(escapeFormulas(parseMarkdown(formula))).tree)).toBe(formula);
    }
  });

  it('leaves prices, variables and escaped brackets unchanged', () => {
    for (const text of [
      'costs $5 for *one* and $10 for **two**',
      'set $HOME and *then* $PATH',
      'from US$5 to *US$7*',
      'see \\[not a *link*\\]',
      '`$a*b*c$`',
    ])
      expect(neutralizeMarkdown(text)).toBe(text);
  });

  it('shows footnotes and math as typed', () => {
    expect(neutralizeMarkdown('so[^1] $a_1$\n\n[^1]: https://e.example')).toBe(
      'so[^1] $a\\_1$\n\n[^1]\u2060: https://e.example',
    );
  });

  it('puts every table but the first into a fence, its columns aligned', () => {
    const table = '| a | b |\n|---|---|\n| 1 | <2 |';
    const padded = '| a   | b   |\n| --- | --- |\n| 1   | <2  |';
    expect(neutralizeMarkdown(`${table}\n\nx\n\n${table}`)).toContain(`x\n\n\`\`\`\n${padded}\n\`\`\``);
    const quoted = (lines: string) => lines.replace(/^/gm, '> ');
    expect(neutralizeMarkdown(`${table}\n\nx\n\n${quoted(table)}`)).toContain(
      `x\n\n> \`\`\`\n${quoted(padded)}\n> \`\`\``,
    );
  });
});

describe('neutralizeMrkdwn', () => {
  it('leaves no < > and no mention in random text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const out = neutralizeMrkdwn(text);
        expect(out).not.toMatch(/[<>]/);
        expect(out).not.toMatch(PINGS);
      }),
    );
    for (const token of tokens) expect(neutralizeMrkdwn(token)).not.toMatch(PINGS);
  });
});

describe('neutralizePlain', () => {
  it('shows invisible characters by number', () => {
    expect(neutralizePlain('rm \u202Etxt.exe\u200B\u0007\rx')).toBe('rm ⟨U+202E⟩txt.exe⟨U+200B⟩⟨U+0007⟩⟨U+000D⟩x');
    expect(neutralizePlain('a\tb\r\nc\n👩‍👩‍👧 \uD800')).toBe('a\tb\nc\n👩‍👩‍👧 ⟨U+D800⟩');
  });
});
