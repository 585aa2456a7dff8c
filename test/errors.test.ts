import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { causesTable } from '../src/bridge/words/causes.ts';

const codes = [...readFileSync('src/errors.ts', 'utf8').matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code]) => code);

describe('docs/errors.md', () => {
  const rows = readFileSync('docs/errors.md', 'utf8').split('\n');

  it('says of each code when it happens and what to do', () => {
    expect(codes.length).toBeGreaterThan(15);
    expect(rows.flatMap((line) => /^\| `(\w+)` \| \S.* \| \S.* \|$/.exec(line)?.[1] ?? [])).toEqual(codes);
  });
});

describe('docs/errors.md about causes', () => {
  it('has the table of causes that the code makes', () => {
    const text = readFileSync('docs/errors.md', 'utf8');
    const found = /<!-- causes -->\n([\s\S]*?)\n<!-- \/causes -->/.exec(text)?.[1];
    expect(found).toBe(causesTable());
  });
});

describe('ErrorCode', () => {
  it('has only codes that are thrown', () => {
    const files = globSync('src/**/*.ts').filter((path) => path !== 'src/errors.ts');
    const code = files.map((path) => readFileSync(path, 'utf8')).join('\n');
    // A thrown code stands first among the arguments of a BridgeError, or of the class that extends it.
    const thrown = new Set([...code.matchAll(/(?:BridgeError|super)\(\s*'(\w+)'/g)].map(([, name]) => name));
    expect(codes.filter((name) => !thrown.has(name))).toEqual([]);
  });
});
