import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// Inside node_modules, so that the unpacked package finds its dependencies; what they are is looked at below.
const CACHE = 'node_modules/.cache';
let work: string;
let unpacked: string;
let listed: string[];

function run(command: string, args: string[], env: Record<string, string> = {}, cwd = work) {
  return spawnSync(command, args, { cwd, env: { PATH: process.env.PATH ?? '', ...env }, encoding: 'utf8' });
}

/** As npm links it: by its file, on the Node of this test. */
function lettaSlack(args: string[], env: Record<string, string> = {}, node: string[] = []) {
  return run(process.execPath, [...node, join(unpacked, 'bin/letta-slack.cjs'), ...args], env);
}

beforeAll(() => {
  mkdirSync(CACHE, { recursive: true });
  work = resolve(mkdtempSync(join(CACHE, 'package-')));
  const packed = run('npm', ['pack', '--json', '--silent', '--pack-destination', work], {}, process.cwd());
  const [about] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('['))) as {
    filename: string;
    files: { path: string }[];
  }[];
  if (!about) throw new Error(packed.stderr);
  listed = about.files.map(({ path }) => path);
  run('tar', ['-xzf', about.filename]);
  unpacked = join(work, 'package');
}, 180_000);

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('the package', () => {
  it('contains what its commands need, without sources and tests', () => {
    for (const path of [
      'bin/letta-slack.cjs',
      'dist/src/cli.js',
      'dist/src/index.d.ts',
      'dist/sandbox/scenes/first-mention.yml',
      'dist/sandbox/web/static/index.html',
      'manifest.yml',
      'policy.example.yml',
      '.env.example',
      'README.md',
      'docs/settings.md',
      'CHANGELOG.md',
      'SECURITY.md',
      'LICENSE',
    ]) {
      expect(listed).toContain(path);
    }
    const odd = listed.filter(
      (path) => !/^(bin|dist)\/|^docs\/[a-z-]+\.md$|^[^/]+\.(yml|json|md)$|^LICENSE$|^\.env\.example$/.test(path),
    );
    expect(odd).toEqual([]);
    expect(
      listed.filter((path) => /(^|\/)(test|bench)\/|^(src|sandbox)\/|(?<!\.d)\.tsx?$|\/build\.js$|\.map$/.test(path)),
    ).toEqual([]);
  });

  it('imports only its declared dependencies', () => {
    const { dependencies } = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as {
      dependencies: object;
    };
    const known = new Set(Object.keys(dependencies));
    const used = new Set<string>();
    for (const path of globSync('dist/**/*.js', { cwd: unpacked, exclude: ['dist/sandbox/web/static/**'] })) {
      const code = readFileSync(join(unpacked, path), 'utf8');
      for (const [, name = ''] of code.matchAll(
        /^(?:import|export)\s(?:[^\n'"]*\sfrom\s)?['"]([^'".][^'"\n]*)['"];/gm,
      )) {
        if (!name.startsWith('node:'))
          used.add(
            name
              .split('/')
              .slice(0, name.startsWith('@') ? 2 : 1)
              .join('/'),
          );
      }
    }
    expect([...used].filter((name) => !known.has(name))).toEqual([]);
    expect(used.size).toBeGreaterThan(5);
  });

  it('has no dependency with an install script', () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { dev?: boolean; optional?: boolean; hasInstallScript?: boolean }>;
    };
    const building = Object.entries(lock.packages)
      .filter(([path, { dev, hasInstallScript }]) => path !== '' && dev !== true && hasInstallScript === true)
      .map(([path]) => path);
    expect(building).toEqual([]);
  });

  it('exports the bridge and its settings as a library', () => {
    const code = `import { ConfigError, loadConfig, startApp } from ${JSON.stringify(join(unpacked, 'dist/src/index.js'))};
      try { loadConfig({}); } catch (error) { console.log(error instanceof ConfigError, typeof startApp); }`;
    const used = run(process.execPath, ['--input-type=module', '-e', code]);
    expect(used.stderr).toBe('');
    expect(used.stdout.trim()).toBe('true function');
  });
});

describe('letta-slack', () => {
  it('lists its commands, and refuses an unknown one', () => {
    const help = lettaSlack(['--help']);
    expect(help.status).toBe(0);
    for (const name of ['start', 'doctor', 'setup', 'sandbox', 'store', 'manifest'])
      expect(help.stdout).toContain(`  ${name} `);
    const none = lettaSlack(['fly']);
    expect(none.status).toBe(2);
    expect(none.stderr).toContain('There is no command "fly"');
  });

  it.each(['start', 'doctor', 'setup', 'sandbox', 'store', 'manifest'])('%s has --help and --version', (name) => {
    const help = lettaSlack([name, '--help']);
    expect(help.stderr).toBe('');
    expect(help.stdout).toMatch(new RegExp(`^letta-slack ${name}\\b`));
    expect(help.stdout).not.toContain('npm run');
    expect(help.status).toBe(0);
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(lettaSlack([name, '--version'])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
    expect(lettaSlack(['--version']).stdout).toBe(`${version}\n`);
  });

  it('names its own commands in its hints', () => {
    const started = lettaSlack(['start', '--fast']);
    expect(started.status).toBe(2);
    expect(started.stderr).toContain('letta-slack doctor');
    expect(lettaSlack(['start']).stderr).toContain('To try the bridge without accounts, run: letta-slack sandbox');
  });

  it('start and doctor report all missing settings and exit with 2', () => {
    const started = lettaSlack(['start']);
    expect(started.stderr).toContain('settings need attention');
    expect(started.status).toBe(2);
    const examined = lettaSlack(['doctor', '--json']);
    expect(examined.stderr).toBe('');
    const report = JSON.parse(examined.stdout) as { ok: boolean; findings: { check: string }[] };
    expect(report.ok).toBe(false);
    expect(report.findings.every(({ check }) => check === 'configuration')).toBe(true);
    expect(examined.status).toBe(2);
  });

  it('manifest prints the app, setup asks for its name', () => {
    expect(lettaSlack(['manifest', '--name', 'Prod']).stdout).toContain('name: Prod');
    const asked = spawnSync(process.execPath, [join(unpacked, 'bin/letta-slack.cjs'), 'setup'], {
      cwd: work,
      input: '',
      env: { PATH: process.env.PATH ?? '' },
      encoding: 'utf8',
    });
    expect(asked.stdout).toContain('Name of the app');
    expect(asked.stderr).toContain('the input has ended');
    expect(asked.status).toBe(1);
    expect(existsSync(join(work, '.env'))).toBe(false);
  });

  it('sandbox plays a scene without a clone and accounts', () => {
    const scene = join(unpacked, 'dist/sandbox/scenes/first-mention.yml');
    const played = lettaSlack(['sandbox', '--script', scene, '--json']);
    expect(played.stderr).toBe('');
    expect(played.status).toBe(0);
    expect((JSON.parse(played.stdout) as { ok: boolean }).ok).toBe(true);
  }, 60_000);

  it('on an old Node says so before loading anything else', () => {
    const preload = join(work, 'old.cjs');
    writeFileSync(preload, "Object.defineProperty(process.versions, 'node', { value: '18.20.4' });");
    for (const args of [['start'], ['--help']]) {
      const old = lettaSlack(args, {}, ['--require', preload]);
      expect(old.status).toBe(1);
      expect(old.stdout).toBe('');
      expect(old.stderr).toMatch(/^letta-slack needs Node 24 or later, and this is Node 18\.20\.4\.\n/);
      const way = old.stderr.split('\n')[2] ?? '';
      expect(way).toBe(`  npx -y -p node@24 node ${join(unpacked, 'bin/letta-slack.cjs')} ${args.join(' ')}`);
      expect(old.stderr.split('\n')).toHaveLength(4);
    }
  });
});
