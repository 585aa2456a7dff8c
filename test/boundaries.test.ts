import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

interface Import {
  /** A file of ours as `bridge/ids.ts`, else the package's name. */
  target: string;
  ours: boolean;
  /** Whether it is gone at run time. */
  typeOnly: boolean;
}

interface Source {
  /** `bridge/ids.ts` of `src/`, `sandbox/scene.ts` beside it */
  path: string;
  folder: string;
  code: string;
  imports: Import[];
}

const IMPORT = /^\s*(?:import|export)\s+(type\s)?(?:[^'"();]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** Without comments: they may name what code may not use. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function importOf(path: string, specifier: string, typeOnly: boolean): Import {
  if (specifier.startsWith('.')) return { target: shortOf(join(dirname(path), specifier)), ours: true, typeOnly };
  const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0];
  return { target: name ?? specifier, ours: false, typeOnly };
}

const shortOf = (file: string) => normalize(file).replace(/^src\//, '');

function sourceOf(file: string): Source {
  const code = codeOf(readFileSync(file, 'utf8'));
  const imports = [
    ...[...code.matchAll(IMPORT)].map((found) => importOf(file, found[2] ?? '', found[1] !== undefined)),
    ...[...code.matchAll(DYNAMIC)].map((found) => importOf(file, found[1] ?? '', false)),
  ];
  const path = shortOf(file);
  return { path, folder: path.includes('/') ? (path.split('/')[0] ?? '') : '', code, imports };
}

const sources = globSync(['src/**/*.ts', 'sandbox/**/*.ts']).sort().map(sourceOf);

/** `bench/peers` is a package of its own. */
const everything = globSync(['{src,sandbox,test,bench}/**/*.{ts,tsx}'], {
  exclude: (path) => /(^|\/)node_modules$|^bench\/peers$/.test(path),
}).map(sourceOf);

/** Same input, same output: no timers, no I/O, no clock, no chance. What else they may use is named here. */
const PURE = [
  'backoff.ts',
  'bounded-map.ts',
  'command-name.ts',
  'errors.ts',
  'printable.ts',
  'bridge/access/can.ts',
  'bridge/access/policy.ts',
  'bridge/agent-event.ts',
  'bridge/approvals/**',
  'bridge/chains.ts',
  'bridge/commands/binding-requests.ts',
  'bridge/commands/stop-words.ts',
  'bridge/commands/table.ts',
  'bridge/files/base64-way.ts',
  'bridge/files/kinds.ts',
  'bridge/files/slots.ts',
  'bridge/ids.ts',
  'bridge/inbound.ts',
  'bridge/intake/relevance.ts',
  'bridge/metric-table.ts',
  'bridge/person.ts',
  'bridge/record/**',
  'bridge/schedules/**',
  'bridge/text/**',
  'bridge/thread/core/**',
  'bridge/tools/**',
  'bridge/turn/**',
  'bridge/view/**',
  'bridge/words/**',
  'config/env-lines.ts',
  'config/settings.ts',
  'doctor/access-sentence.ts',
  'doctor/report.ts',
  'doctor/troubles.ts',
  'letta/link/endpoints.ts',
  'letta/protocol/**',
  'letta/runtime/**',
  'manifest/manifest.ts',
  'setup/env-file.ts',
  'setup/policy-text.ts',
  'slack/api/refusals.ts',
  'slack/inbound/channel-change.ts',
  'slack/inbound/content.ts',
  'slack/inbound/files.ts',
  'slack/inbound/interactions.ts',
  'slack/inbound/layout.ts',
  'slack/inbound/mentions.ts',
  'slack/inbound/mrkdwn.ts',
  'slack/inbound/normalize.ts',
  'slack/inbound/ours.ts',
  'slack/inbound/past-message.ts',
  'slack/inbound/revisions.ts',
  'slack/inbound/rich-text.ts',
  'slack/inbound/span-builder.ts',
  'slack/inbound/spans.ts',
  'slack/inbound/tables.ts',
  'slack/modals/**',
  'slack/outbox/budget.ts',
  'slack/outbox/first-post.ts',
  'slack/outbox/plan.ts',
  'slack/outbox/post-metadata.ts',
  'slack/people/clean-name.ts',
  'slack/receiver/control-frame.ts',
  'slack/render/**',
  'slack/words/**',
  'storage/keys.ts',
  'storage/postgres/layout-1.ts',
  'storage/postgres/uri.ts',
  'storage/store-uri.ts',
];

// node:crypto for hashes only: another test keeps its random numbers out.
const PURE_PACKAGES = /^(node:crypto|zod|yaml|@slack\/types|decode-named-character-reference)$/;

function isPure(path: string): boolean {
  return PURE.some((entry) => (entry.endsWith('/**') ? path.startsWith(entry.slice(0, -2)) : path === entry));
}

/** What a process begins with: it has the world, and hands it on. */
const MAINS = /(^|\/)main\.ts$/;

interface Rule {
  folder: string;
  because: string;
  /** Besides its own files and the small things of EVERYWHERE. */
  ours: (target: string, typeOnly: boolean) => boolean;
  packages: RegExp;
}

const fromBridge = (target: string, typeOnly: boolean) =>
  (target.startsWith('bridge/') && isPure(target)) || (target === 'bridge/ports.ts' && typeOnly);

/** Small things without any knowledge of Slack, Letta or disks. */
const EVERYWHERE = ['backoff.ts', 'bounded-map.ts', 'command-name.ts', 'errors.ts', 'printable.ts'];

const RULES: Rule[] = [
  {
    folder: 'bridge',
    because: 'the middle must run without Slack, Letta or a disk',
    ours: () => false,
    packages: /^node:crypto$/,
  },
  {
    folder: 'slack',
    because: 'a change at Slack stays in one folder',
    ours: fromBridge,
    packages: /^(@slack\/.+|undici|zod|decode-named-character-reference|express|node:.+)$/,
  },
  {
    folder: 'letta',
    because: 'a change at Letta stays in one folder',
    ours: fromBridge,
    packages: /^(ws|undici|zod|node:.+)$/,
  },
  {
    folder: 'storage',
    because: 'another kind of store is another file here, and nothing elsewhere',
    ours: fromBridge,
    packages: /^(keyv|pg|zod|node:.+)$/,
  },
  {
    folder: 'ops',
    because: 'what watches the bridge is not a part of it',
    ours: fromBridge,
    packages: /^(pino|pino-pretty|prom-client|node:.+)$/,
  },
  {
    folder: 'workspaces',
    because: 'it joins all sides for one installation after another, as app.ts does for the process',
    ours: (target) => !/^(sandbox|setup)\/|^(main|app|cli)\.ts$/.test(target),
    packages: /^node:.+$/,
  },
  {
    folder: 'config',
    because: 'settings become values here, before anything runs',
    ours: (target, typeOnly) => fromBridge(target, typeOnly) || target === 'storage/store-uri.ts',
    packages: /^(yaml|zod|node:fs)$/,
  },
  {
    folder: 'manifest',
    because: 'what is asked of Slack is told before anything runs',
    ours: (target) => target === 'config/policy-file.ts' || target === 'bridge/access/policy.ts',
    packages: /^(yaml|zod|node:.+)$/,
  },
  {
    folder: 'doctor',
    because: 'it looks at all sides from outside; the bridge does not know that it is looked at',
    ours: (target) => !/^(sandbox|setup)\/|^main\.ts$/.test(target),
    packages: /^node:.+$/,
  },
  {
    folder: 'store',
    because: 'it moves stores of bridges that do not run',
    ours: (target) => /^(storage\/|clock\.ts$|ops\/log\.ts$)/.test(target),
    packages: /^node:.+$/,
  },
  {
    folder: 'setup',
    because: 'it asks all sides before there is a bridge',
    ours: (target) => !/^(sandbox\/|main\.ts$|app\.ts$)/.test(target),
    packages: /^node:.+$/,
  },
  {
    folder: 'sandbox',
    because: 'a double that shares code with what it tests makes the same mistakes; it may start the bridge, no more',
    ours: (target, typeOnly) =>
      ['app.ts', 'clock.ts', 'config/config.ts'].includes(target) || target === 'ops/log.ts' || typeOnly,
    packages: /./,
  },
];

/** The rooms of `bridge/`: each may import those behind it, and the plain files beside the rooms. */
const ROOMS = [
  'intake',
  'commands',
  'thread',
  'files',
  'view',
  'approvals',
  'turn',
  'access',
  'tools',
  'record',
  'words',
  'schedules',
  'text',
];

const roomOf = (path: string) => (/^bridge\/\w+\//.test(path) ? (path.split('/')[1] ?? '') : null);

/** Files that import one another, each list one circle. Types count: they are read together, too. */
function circlesOf(files: readonly { path: string; imports: readonly Import[] }[]): string[][] {
  const targets = new Map(files.map(({ path, imports }) => [path, imports.map(({ target }) => target)]));
  const order = new Map<string, { index: number; low: number; open: boolean }>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (path: string) => {
    const here = { index: order.size, low: order.size, open: true };
    order.set(path, here);
    stack.push(path);
    for (const target of targets.get(path) ?? []) {
      if (!targets.has(target)) continue;
      const there = order.get(target) ?? visit(target);
      if (there.open) here.low = Math.min(here.low, there.low);
    }
    if (here.low === here.index) {
      const circle = stack.splice(stack.indexOf(path));
      for (const each of circle) Object.assign(order.get(each) ?? {}, { open: false });
      if (circle.length > 1) circles.push(circle.sort());
    }
    return here;
  };
  for (const path of targets.keys()) if (!order.has(path)) visit(path);
  return circles;
}

describe('the boundaries of src/ and sandbox/', () => {
  it('are checked on real sources', () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(sources.find((source) => source.path === 'bridge/ports.ts')?.imports.length).toBeGreaterThan(3);
  });

  for (const rule of RULES) {
    it(`${rule.folder}/ imports only what it may, because ${rule.because}`, () => {
      const wrong = sources
        .filter((source) => source.folder === rule.folder)
        .flatMap(({ path, imports }) =>
          imports
            .filter(({ target, ours, typeOnly }) => {
              if (!ours) return !rule.packages.test(target);
              return (
                !EVERYWHERE.includes(target) && !target.startsWith(`${rule.folder}/`) && !rule.ours(target, typeOnly)
              );
            })
            .map(({ target }) => `${path} imports ${target}`),
        );
      expect(wrong).toEqual([]);
    });
  }

  it('have a rule for each folder', () => {
    const folders = new Set(sources.map((source) => source.folder).filter((folder) => folder !== ''));
    expect([...folders].sort()).toEqual(RULES.map((rule) => rule.folder).sort());
  });

  it('let a room of bridge/ import only rooms behind it', () => {
    const wrong = sources.flatMap(({ path, imports }) => {
      const room = roomOf(path);
      if (room === null) return [];
      return imports
        .map(({ target }) => target)
        .filter((target) => {
          const other = roomOf(target);
          return other !== null && ROOMS.indexOf(other) < ROOMS.indexOf(room);
        })
        .map((target) => `${path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
    expect([...new Set(sources.map(({ path }) => roomOf(path)))].filter((room) => room !== null).sort()).toEqual(
      ROOMS.toSorted(),
    );
  });

  it('let files beside the rooms import only types from them', () => {
    const wrong = sources
      .filter(({ path }) => /^bridge\/[^/]+$/.test(path))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ target, typeOnly }) => roomOf(target) !== null && !typeOnly)
          .map(({ target }) => `${path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('contain no circle of imports', () => {
    expect(new Set(everything.map(({ folder }) => folder))).toContain('bench');
    expect(everything.some(({ path }) => path.endsWith('.tsx'))).toBe(true);
    expect(circlesOf(everything)).toEqual([]);
  });

  it('let only the sandbox and the command line import the sandbox', () => {
    const wrong = sources
      // The command line begins it as a program of its own.
      .filter((source) => source.folder !== 'sandbox' && source.path !== 'cli.ts')
      .filter(({ imports }) => imports.some(({ target }) => target.startsWith('sandbox/')))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });

  it('let pure files import only pure files, types and parsers', () => {
    const wrong = sources
      .filter((source) => isPure(source.path))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ target, ours, typeOnly }) => !typeOnly && !(ours ? isPure(target) : PURE_PACKAGES.test(target)))
          .map(({ target }) => `${path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('keep random numbers, processes and requests out of pure files', () => {
    const impure =
      /\brandom\w*\s*\(|\bprocess\.(env|pid|cwd|hrtime|on|stdout|stderr)\b|\bfetch\s*\(|\bcrypto\.(get|random)/;
    const wrong = sources.filter((source) => isPure(source.path) && impure.test(source.code)).map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('let only clock.ts ask for time and chance', () => {
    const world = /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate)\s*\(|\bnew Date\(\)/;
    const wrong = sources
      .filter((source) => source.folder !== 'sandbox' && source.path !== 'clock.ts' && !MAINS.test(source.path))
      .filter((source) => world.test(source.code))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });

  it('let only listed files compare with the wall clock', () => {
    const compares = new Set([
      'letta/inspect.ts',
      'letta/routes/cloud.ts',
      'ops/store-watch.ts',
      'slack/outbox/lookup.ts',
      'slack/outbox/publication.ts',
      'slack/receiver/http.ts',
      'slack/tools/post-message.ts',
      'slack/api/slack-time.ts',
      'slack/installations/install-state.ts',
      'slack/installations/installer.ts',
      'slack/installations/rotating-token.ts',
      'slack/installations/stored.ts',
    ]);
    const wrong = sources
      .filter(({ folder }) => folder === 'letta' || folder === 'ops' || folder === 'slack')
      .filter(({ path, code }) => /\bclock\.now\b/.test(code) && !compares.has(path))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('let one file write the record of a thread', () => {
    const writes = sources
      .filter(({ folder }) => ['bridge', 'slack', 'letta', ''].includes(folder))
      .flatMap(({ path, code }) => [...code.matchAll(/\bthreads\??\.update\b/g)].map(() => path));
    expect(writes).toEqual(['bridge/thread/state.ts']);
  });

  it('let only the mains read the environment', () => {
    const wrong = sources
      .filter((source) => !MAINS.test(source.path))
      .filter((source) => /\bprocess\.env\b/.test(source.code))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });

  it('list no pure file that does not exist', () => {
    const missing = PURE.filter(
      (entry) =>
        !sources.some(({ path }) => path === entry || (entry.endsWith('/**') && path.startsWith(entry.slice(0, -2)))),
    );
    expect(missing).toEqual([]);
  });
});
