import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROW = /^\|.*\| `(test\/[\w/.-]+\.ts)`: (.+?) \|$/;

describe('SECURITY.md', () => {
  const rows = readFileSync('SECURITY.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| who ') && !line.startsWith('| ---'));

  it('names in each row a test that exists', () => {
    expect(rows.length).toBeGreaterThan(15);
    const wrong = rows.filter((line) => {
      const [, file = '', title = ''] = ROW.exec(line) ?? [];
      return !existsSync(file) || !readFileSync(file, 'utf8').includes(`'${title}'`);
    });
    expect(wrong).toEqual([]);
  });
});
