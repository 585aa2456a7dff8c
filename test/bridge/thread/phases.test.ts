import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { NEXT_PHASES } from '../../../src/bridge/thread/core/thread.ts';

it('the picture of phases in docs/architecture.md: as in the code', () => {
  const text = readFileSync(new URL('../../../docs/architecture.md', import.meta.url), 'utf8');
  const picture = /stateDiagram-v2\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const arrows = [...picture.matchAll(/^ {2}(\w+) --> (\w+):/gm)].map(([, from, to]) => `${from} ${to}`);
  const known = Object.entries(NEXT_PHASES).flatMap(([from, next]) => next.map((to) => `${from} ${to}`));
  expect(arrows.sort()).toEqual(known.sort());
});

it('the heart: docs/architecture.md names each file, which says what it is about', () => {
  const folder = new URL('../../../src/bridge/thread/core/', import.meta.url);
  const text = readFileSync(new URL('../../../docs/architecture.md', import.meta.url), 'utf8');
  const section = /### The heart, file by file\n([\s\S]*?)\n###/.exec(text)?.[1] ?? '';
  const named = [...section.matchAll(/`([\w-]+\.ts)`/g)].map(([, file]) => file);
  const files = readdirSync(folder);
  expect(named.sort()).toEqual(files.sort());
  expect(files.filter((file) => !/^\/\*[ \n]/m.test(readFileSync(new URL(file, folder), 'utf8')))).toEqual([]);
});
