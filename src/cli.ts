import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
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
  manifest: {
    help: 'print the Slack app’s manifest (YAML), with a link that creates the app',
    run: () => import('./manifest/main.ts'),
  },
};

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { help }]) => `  ${name.padEnd(10)} ${help}`);
  return `letta-slack <command> [options]\n${lines.join('\n')}\nFor the options of a command: letta-slack <command> --help\nThe version: letta-slack --version\n`;
}

/** The version of the package that this file is in. */
function version(): string {
  const path = findPackageJSON(import.meta.url);
  if (path === undefined) return 'unknown';
  return String((JSON.parse(readFileSync(path, 'utf8')) as { version?: unknown }).version);
}

const [name = ''] = process.argv.splice(2, 1);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
const isAskedFor = (option: string) => name === option || (command !== undefined && process.argv.includes(option, 2));
if (isAskedFor('--version')) process.stdout.write(`${version()}\n`);
else if (command) await command.run();
else if (['--help', '-h', 'help'].includes(name)) process.stdout.write(usage());
else {
  process.stderr.write(
    name === '' ? usage() : `There is no command ${JSON.stringify(printableLine(name))}.\n${usage()}`,
  );
  process.exitCode = 2;
}
