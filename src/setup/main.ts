import { parseArgs } from 'node:util';
import { stayAlive, systemClock, systemRandom } from '../clock.ts';
import { commandName } from '../command-name.ts';
import { createSocketDialer } from '../letta/link/socket.ts';
import { readManifest } from '../manifest/file.ts';
import { createLog } from '../ops/log.ts';
import { printable, printableLine } from '../printable.ts';
import { openFiles } from './files.ts';
import { runSetup } from './setup.ts';
import { createTerminal } from './terminal.ts';

const USAGE = `${commandName('setup')}
Asks for everything the bridge needs, checks each answer, writes .env and policy.yml into this folder, then runs
doctor. You can stop at any time: the next run keeps every setting that works.
`;

try {
  if (parseArgs({ options: { help: { type: 'boolean', default: false } } }).values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
} catch (error) {
  process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
  process.exit(2);
}

const terminal = createTerminal(process.stdin, process.stdout, process.stdin.isTTY === true);
const alive = stayAlive();
try {
  await runSetup({
    terminal,
    files: openFiles(process.cwd(), process.env),
    manifest: readManifest(),
    dial: createSocketDialer(systemClock),
    fetch: globalThis.fetch,
    clock: systemClock,
    random: systemRandom,
    log: createLog({ level: 'error', pretty: true, to: { write: () => undefined } }),
  });
} catch (error) {
  const why = printableLine(error instanceof Error ? error.message : String(error));
  process.stderr.write(`\n${why}; every setting that was checked is saved.\n`);
  process.exit(1);
} finally {
  terminal.close();
  alive.letGo();
}
terminal.say('\n4. Doctor');
process.argv.splice(2);
await import('../doctor/main.ts');
