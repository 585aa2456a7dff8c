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
  /** `bridge/ids.ts` */
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
  if (specifier.startsWith('.')) return { target: normalize(join(dirname(path), specifier)), ours: true, typeOnly };
  const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0];
  return { target: name ?? specifier, ours: false, typeOnly };
}

function sourceOf(path: string): Source {
  const code = codeOf(readFileSync(join('src', path), 'utf8'));
  const imports = [
    ...[...code.matchAll(IMPORT)].map((found) => importOf(path, found[2] ?? '', found[1] !== undefined)),
    ...[...code.matchAll(DYNAMIC)].map((found) => importOf(path, found[1] ?? '', false)),
  ];
  return { path, folder: path.includes('/') ? (path.split('/')[0] ?? '') : '', code, imports };
}

const sources = globSync('**/*.ts', { cwd: 'src' }).sort().map(sourceOf);

/** Same input, same output: no timers, no I/O, no clock, no chance. What else they may use is named here. */
const PURE = [
  'errors.ts',
  'env-lines.ts',
  'printable.ts',
  'settings.ts',
  'bridge/ids.ts',
  'bridge/inbound.ts',
  'bridge/agent-event.ts',
  'bridge/thread-record.ts',
  'bridge/access.ts',
  'bridge/background.ts',
  'bridge/policy.ts',
  'bridge/binding-orders.ts',
  'bridge/chains.ts',
  'bridge/commands.ts',
  'bridge/home-view.ts',
  'bridge/inbox.ts',
  'bridge/invisible.ts',
  'bridge/json.ts',
  'bridge/metric-table.ts',
  'bridge/moved-record.ts',
  'bridge/offers.ts',
  'bridge/offer-view.ts',
  'bridge/notify.ts',
  'bridge/own-words.ts',
  'bridge/one-line.ts',
  'bridge/memory-notice.ts',
  'bridge/print-input.ts',
  'bridge/prompt.ts',
  'bridge/relevance.ts',
  'bridge/revisions.ts',
  'bridge/stop-words.ts',
  'bridge/redact.ts',
  'bridge/secrets/**',
  'bridge/turn.ts',
  'bridge/turn-details.ts',
  'bridge/turn-steps.ts',
  'bridge/turn-view.ts',
  'bridge/turn-recovery.ts',
  'bridge/approvals/audit-entry.ts',
  'bridge/approvals/auto-approve.ts',
  'bridge/approvals/card.ts',
  'bridge/approvals/changed-files.ts',
  'bridge/approvals/covered-by-diff.ts',
  'bridge/approvals/patch.ts',
  'bridge/approvals/places.ts',
  'bridge/approvals/decisions.ts',
  'bridge/approvals/grants.ts',
  'bridge/approvals/edited.ts',
  'bridge/approvals/guarded.ts',
  'bridge/approvals/guarded-tools.ts',
  'bridge/approvals/secret-names.ts',
  'bridge/approvals/self-running.ts',
  'bridge/approvals/harmless-shell.ts',
  'bridge/approvals/inside.ts',
  'bridge/approvals/moving.ts',
  'bridge/approvals/short-id.ts',
  'bridge/approvals/shown.ts',
  'bridge/approvals/starts-agent.ts',
  'bridge/approvals/unasked.ts',
  'bridge/approvals/who-decides.ts',
  'slack/action-ids.ts',
  'slack/interactions.ts',
  'slack/details-view.ts',
  'slack/full-view.ts',
  'slack/modal-text.ts',
  'slack/modals.ts',
  'slack/attachments-in.ts',
  'slack/channel-change.ts',
  'slack/clean-name.ts',
  'slack/receiver/control-frame.ts',
  'slack/refusals.ts',
  'slack/revisions.ts',
  'slack/mrkdwn-in.ts',
  'slack/normalize.ts',
  'slack/ours.ts',
  'slack/own-mrkdwn.ts',
  'slack/post.ts',
  'slack/render/**',
  'slack/rich-text-in.ts',
  'slack/span-builder.ts',
  'slack/spans.ts',
  'slack/outbox/plan.ts',
  'slack/outbox/budget.ts',
  'letta/protocol/**',
  'letta/link/endpoints.ts',
  'letta/link/backoff.ts',
  'letta/runtime/**',
  'storage/store-uri.ts',
  'manifest/manifest.ts',
  'setup/env-file.ts',
  'setup/policy-text.ts',
  'doctor/access-sentence.ts',
  'doctor/report.ts',
  'doctor/troubles.ts',
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
  /** Besides its own files, errors.ts, printable.ts and what is only a type. */
  ours: (target: string, typeOnly: boolean) => boolean;
  packages: RegExp;
}

const fromBridge = (target: string, typeOnly: boolean) =>
  (target.startsWith('bridge/') && isPure(target)) || (target === 'bridge/ports.ts' && typeOnly);

/** Small things without any knowledge of Slack, Letta or disks. */
const EVERYWHERE = ['errors.ts', 'printable.ts'];

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
    packages: /^(keyv|zod|node:.+)$/,
  },
  {
    folder: 'ops',
    because: 'what watches the bridge is not a part of it',
    ours: fromBridge,
    packages: /^(pino|pino-pretty|prom-client|node:.+)$/,
  },
  {
    folder: 'manifest',
    because: 'what is asked of Slack is told before anything runs',
    ours: () => false,
    packages: /^(yaml|zod|node:.+)$/,
  },
  {
    folder: 'doctor',
    because: 'it looks at all sides from outside; the bridge does not know that it is looked at',
    ours: (target) => !/^(sandbox|setup)\/|^main\.ts$/.test(target),
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
      ['app.ts', 'clock.ts', 'config.ts'].includes(target) || target === 'ops/log.ts' || typeOnly,
    packages: /./,
  },
];

describe('the boundaries of src/', () => {
  it('are read from real sources', () => {
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

  it('each folder has a rule', () => {
    const folders = new Set(sources.map((source) => source.folder).filter((folder) => folder !== ''));
    expect([...folders].sort()).toEqual(RULES.map((rule) => rule.folder).sort());
  });

  it('nothing imports the sandbox but itself: the app must not know that it is being played with', () => {
    const wrong = sources
      // The command line begins it as a program of its own.
      .filter((source) => source.folder !== 'sandbox' && source.path !== 'cli.ts')
      .filter(({ imports }) => imports.some(({ target }) => target.startsWith('sandbox/')))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });

  it('pure files import only pure files, types and parsers, so that tests need nothing but values', () => {
    const wrong = sources
      .filter((source) => isPure(source.path))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ target, ours, typeOnly }) => !typeOnly && !(ours ? isPure(target) : PURE_PACKAGES.test(target)))
          .map(({ target }) => `${path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('pure files draw no random numbers and start nothing', () => {
    const impure =
      /\brandom\w*\s*\(|\bprocess\.(env|pid|cwd|hrtime|on|stdout|stderr)\b|\bfetch\s*\(|\bcrypto\.(get|random)/;
    const wrong = sources.filter((source) => isPure(source.path) && impure.test(source.code)).map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('time and chance come in through ports: only clock.ts asks the world for them', () => {
    const world = /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate)\s*\(|\bnew Date\(\)/;
    const wrong = sources
      .filter((source) => source.folder !== 'sandbox' && source.path !== 'clock.ts' && !MAINS.test(source.path))
      .filter((source) => world.test(source.code))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });

  it('nothing that waits counts by the wall clock, which may be set: these compare it with what others wrote', () => {
    const compares = new Set([
      'letta/inspect.ts',
      'letta/routes/cloud.ts',
      'ops/store-watch.ts',
      'slack/outbox/publication.ts',
      'slack/receiver/http.ts',
      'slack/slack-time.ts',
    ]);
    const wrong = sources
      .filter(({ folder }) => folder === 'letta' || folder === 'ops' || folder === 'slack')
      .filter(({ path, code }) => /\bclock\.now\b/.test(code) && !compares.has(path))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('the environment is handed in: only the mains look at it', () => {
    const wrong = sources
      .filter((source) => !MAINS.test(source.path))
      .filter((source) => /\bprocess\.env\b/.test(source.code))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });

  it('names no pure file that does not exist', () => {
    const missing = PURE.filter(
      (entry) =>
        !sources.some(({ path }) => path === entry || (entry.endsWith('/**') && path.startsWith(entry.slice(0, -2)))),
    );
    expect(missing).toEqual([]);
  });
});
