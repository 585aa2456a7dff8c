import { readFileSync } from 'node:fs';
import { enableCompileCache, findPackageJSON, flushCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { systemClock } from './clock.ts';
import { printableLine } from './printable.ts';

/** The commands of `letta-slack`. Each starts its own program, which reads its own options. */
const COMMANDS: Readonly<Record<string, { help: string; run(): Promise<unknown> }>> = {
  start: { help: 'run the bridge; settings come from the environment or .env', run: () => import('./main.ts') },
  doctor: {
    help: 'check everything the bridge needs, and say how to fix it',
    run: () => import('./doctor/main.ts'),
  },
  setup: {
    help: 'ask for the settings, check each answer, write .env and policy.yml',
    run: () => import('./setup/main.ts'),
  },
  sandbox: {
    help: 'try the bridge with a small Slack and a scripted Letta: no accounts',
    run: () => import('../sandbox/main.ts'),
  },
  store: {
    help: 'copy a store to Postgres: store copy sqlite://… postgres://…',
    run: () => import('./store/main.ts'),
  },
  manifest: {
    help: 'print the Slack app’s manifest (YAML), with a link that creates the app',
    run: () => import('./manifest/main.ts'),
  },
};

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { help }]) => `  ${name.padEnd(10)} ${help}`);
  return `letta-slack <command> [options]\n${lines.join('\n')}\nFor the options of a command: letta-slack <command> --help\nThe version: letta-slack --version\n`;
}

const path = findPackageJSON(import.meta.url);

/**
 * Keeps the compiled program beside its source, because compiling takes half of the start. Not in the system's temporary
 * folder: others may write there, and what is kept is run. Where the folder cannot be written, nothing is kept.
 */
function keepCompiled(): void {
  if (path === undefined) return;
  enableCompileCache(join(dirname(path), '.cache'));
  // A bridge that is killed would keep nothing.
  systemClock.after(10_000, flushCompileCache);
}

/** The version of the package that this file is in. */
function version(): string {
  if (path === undefined) return 'unknown';
  return String((JSON.parse(readFileSync(path, 'utf8')) as { version?: unknown }).version);
}

const [name = ''] = process.argv.splice(2, 1);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
const isAskedFor = (option: string) => name === option || (command !== undefined && process.argv.includes(option, 2));
if (isAskedFor('--version')) process.stdout.write(`${version()}\n`);
else if (command) {
  keepCompiled();
  await command.run();
} else if (['--help', '-h', 'help'].includes(name)) process.stdout.write(usage());
else {
  process.stderr.write(
    name === '' ? usage() : `There is no command ${JSON.stringify(printableLine(name))}.\n${usage()}`,
  );
  process.exitCode = 2;
}
