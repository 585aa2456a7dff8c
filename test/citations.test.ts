import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const BOOKS = ['slack', 'letta-protocol', 'design'];
const SOURCES = [
  'src/**/*.ts',
  'sandbox/**/*.{ts,tsx,md}',
  'test/**/*.{ts,md}',
  'bench/**/*.ts',
  '*.md',
  '*.yml',
  '*.yaml',
  'Dockerfile',
];
const PAGES = ['*.md', 'docs/**/*.md', 'sandbox/*.md'];

/** Headings of a page, the longest first, without marks of code. */
function headings(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  const found = lines.flatMap((line) => /^#{1,4} (.*)$/.exec(line)?.[1] ?? []);
  return found.map((heading) => heading.replaceAll('`', '')).sort((a, b) => b.length - a.length);
}

/** The words of a file, with comments that go over several lines made one. */
const words = (path: string) => readFileSync(path, 'utf8').replace(/\n\s*(?:\*|\/\/|#)? ?/g, ' ');

/** As GitHub makes the address of a heading. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
    .replaceAll(' ', '-');

describe('citations of a document', () => {
  const books = new Map(BOOKS.map((book) => [book, headings(`docs/${book}.md`)]));
  const sources = globSync(SOURCES).filter(
    (path) => !path.includes('node_modules') && path !== 'test/citations.test.ts',
  );

  it('name a heading that exists', () => {
    const cited = sources.flatMap((path) =>
      [...words(path).matchAll(/docs\/(slack|letta-protocol|design)\.md, (.{1,80})/g)].map(
        ([whole, book = '', rest = '']) => ({
          path,
          whole,
          known: books.get(book)?.some((name) => rest.startsWith(name)),
        }),
      ),
    );
    expect(cited.length).toBeGreaterThan(150);
    expect(cited.filter(({ known }) => !known)).toEqual([]);
  });

  it('name a hazard by its bold words', () => {
    const hazards = [...readFileSync('docs/slack.md', 'utf8').matchAll(/^\| \*\*([^*]+)\*\*: /gm)].map(
      ([, name]) => name,
    );
    const cited = sources.flatMap((path) =>
      [...words(path).matchAll(/, Hazards: (.{1,60})/g)].map(([, rest = '']) => ({ path, rest })),
    );
    expect(hazards.length).toBeGreaterThan(10);
    expect(cited.filter(({ rest }) => !hazards.some((name) => rest.startsWith(name ?? '\0')))).toEqual([]);
  });

  it('name no document outside the repository', () => {
    const missing = sources.filter((path) => /\b(?:PLATFORM|PROTOCOL|DESIGN|STYLE)\.md\b/.test(words(path)));
    expect(missing).toEqual([]);
  });
});

/** A path of ours as it stands in a page: `src/errors.ts`, `test/flows/`, `src/letta/*.ts`. */
const PATH = /`((?:src|sandbox|test|bench|bin|docs|\.ci|\.github)\/[\w./*-]*)`/g;

describe('paths', () => {
  const pages = [...globSync('docs/**/*.md'), 'CONTRIBUTING.md', 'README.md', 'SECURITY.md', 'sandbox/README.md'];
  const named = pages
    .filter((page) => existsSync(page))
    .flatMap((page) => [...readFileSync(page, 'utf8').matchAll(PATH)].map(([, path = '']) => ({ page, path })));

  it('named in a page exist', () => {
    expect(named.length).toBeGreaterThan(80);
    expect(named.filter(({ path }) => globSync(path).length === 0)).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  const lines = readFileSync('docs/architecture.md', 'utf8').split('\n');
  const owned = lines.flatMap((line) => /^\| `([\w/]+\/)` \| \S/.exec(line)?.[1] ?? []);

  it('names the owner of each folder and room once', () => {
    const folders = globSync(['src/*/', 'src/bridge/*/']).map((path) => `${path.replace(/\/$/, '')}/`);
    expect(folders.length).toBeGreaterThan(15);
    expect(owned.filter((path) => path.startsWith('src/')).sort()).toEqual(folders.sort());
  });
});

describe('links between pages', () => {
  const pages = globSync(PAGES);

  it('lead to a page and a heading that exist', () => {
    const broken = pages.flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].flatMap(
        ([whole, target = '', part]) => {
          const to = target === '' ? path : join(dirname(path), target);
          if (part === undefined) return globSync(to).length > 0 ? [] : [`${path}: ${whole}`];
          const known = to.endsWith('.md') && globSync(to).length > 0 && headings(to).map(anchor).includes(part);
          return known ? [] : [`${path}: ${whole} (${basename(to)})`];
        },
      ),
    );
    expect(broken).toEqual([]);
  });
});
