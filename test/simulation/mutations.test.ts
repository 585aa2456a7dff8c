import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mutations } from './mutations.ts';

const root = join(import.meta.dirname, '../..');

describe('a mutation', () => {
  it.each(mutations.map((mutation) => [mutation.name, mutation.edits] as const))(
    '%s: its quoted source exists once',
    (_, edits) => {
      for (const { file, find } of edits) {
        expect(readFileSync(join(root, file), 'utf8').split(find), `${file}: ${find}`).toHaveLength(2);
      }
    },
  );
});
