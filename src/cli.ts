import { printableLine } from './printable.ts';

/** What `letta-slack` can do; each begins a program of its own, which reads its own options. */
const COMMANDS: Readonly<Record<string, { help: string; run(): Promise<unknown> }>> = {
  start: { help: 'the bridge; settings from the environment or .env', run: () => import('./main.ts') },
  doctor: {
    help: 'looks at everything that the bridge needs, and says the fix',
    run: () => import('./doctor/main.ts'),
  },
  setup: { help: 'asks for the settings, checks each answer, writes .env', run: () => import('./setup/main.ts') },
  sandbox: { help: 'the bridge between a small Slack and a scripted Letta', run: () => import('../sandbox/main.ts') },
  manifest: { help: 'the Slack app as YAML, with a link that creates it', run: () => import('./manifest/main.ts') },
};

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { help }]) => `  ${name.padEnd(10)} ${help}`);
  return `letta-slack <command> [options]\n${lines.join('\n')}\nOptions of each: letta-slack <command> --help\n`;
}

const [name = ''] = process.argv.splice(2, 1);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command) await command.run();
else if (name === '--help' || name === 'help') process.stdout.write(usage());
else {
  process.stderr.write(
    name === '' ? usage() : `There is no command ${JSON.stringify(printableLine(name))}.\n${usage()}`,
  );
  process.exitCode = 2;
}
