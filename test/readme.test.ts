import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commandsTable } from '../src/bridge/commands/table.ts';
import { SETTINGS, settingsTable } from '../src/config/settings.ts';
import { troublesTable } from '../src/doctor/troubles.ts';
import { metricsTable } from '../src/ops/metrics.ts';

/** What stands between the markers `<!-- name:start -->` and `<!-- name:end -->` of a page. */
function between(page: string, name: string): string {
  const readme = readFileSync(page, 'utf8');
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
  expect(readme).toContain(start);
  expect(readme.indexOf(end), `${page} has no ${end}`).toBeGreaterThan(readme.indexOf(start));
  return readme.slice(readme.indexOf(start) + start.length, readme.indexOf(end)).trim();
}

describe('README.md', () => {
  it('is short', () => {
    expect(readFileSync('README.md', 'utf8').split('\n').length).toBeLessThanOrEqual(150);
  });

  it('has the table of settings that the code makes', () => {
    expect(between('docs/settings.md', 'settings')).toBe(settingsTable());
  });

  it('has the table of troubles that doctor can name', () => {
    expect(between('docs/troubles.md', 'troubles')).toBe(troublesTable());
  });

  it('has the table of commands that the code makes', () => {
    expect(between('docs/using.md', 'commands')).toBe(commandsTable());
  });

  it('has the table of metrics that the code makes', () => {
    expect(between('docs/operating.md', 'metrics')).toBe(metricsTable());
  });
});

describe('buttons that the pages for users name', () => {
  const readme = readFileSync('README.md', 'utf8') + readFileSync('docs/using.md', 'utf8');
  const rows = readme.split('\n').flatMap((line) => /^\| click (.*?) \|/.exec(line)?.[1] ?? []);
  const named = rows.flatMap((row) => [...row.matchAll(/\*([^*]+)\*/g)].map(([, name = '']) => name));

  it('are labels that the code renders', () => {
    const rendered = globSync('src/slack/{render,words}/**/*.ts')
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !rendered.includes(`'${name}'`))).toEqual([]);
  });
});

describe('.env.example', () => {
  const lines = readFileSync('.env.example', 'utf8').split('\n');
  const entries = lines.flatMap((line) => {
    const [, off, name, value] = /^(# ?)?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, value: value ?? '', on: off === undefined }];
  });

  it('names every setting once', () => {
    expect(entries.map((entry) => entry.name).sort()).toEqual(SETTINGS.map((setting) => setting.name).sort());
  });

  it('shows each default commented out, and no secret', () => {
    for (const setting of SETTINGS) {
      const entry = entries.find(({ name }) => name === setting.name);
      if (setting.default !== null) expect(entry).toEqual({ name: setting.name, value: setting.default, on: false });
      if ('secret' in setting) expect(entry?.value).toBe('');
    }
  });

  it('has only empty settings switched on, so that missing ones are reported', () => {
    expect(entries.filter((entry) => entry.on && entry.value !== '')).toEqual([]);
  });
});

describe('CHANGELOG.md', () => {
  const headings = [...readFileSync('CHANGELOG.md', 'utf8').matchAll(/^## \[(.+?)\](?: - (.+))?$/gm)];

  it('begins with what is unreleased, then has the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(headings.map(([, name]) => name).slice(0, 2)).toEqual(['Unreleased', version]);
  });

  it('dates each released version', () => {
    const undated = headings.slice(1).filter(([, , date = '']) => !/^\d{4}-\d{2}-\d{2}$/.test(date));
    expect(undated.map(([heading]) => heading)).toEqual([]);
  });
});
