import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { stayAlive, systemClock, systemRandom } from '../clock.ts';
import { commandName } from '../command-name.ts';
import { doctorCommand } from '../doctor/command.ts';
import { createSocketDialer } from '../letta/link/socket.ts';
import { readManifest } from '../manifest/file.ts';
import { createLog } from '../ops/log.ts';
import { printable, printableLine } from '../printable.ts';
import { openFiles } from './files.ts';
import { nextStep } from './next-step.ts';
import { runSetup, type SetupDone } from './setup.ts';
import { createTerminal } from './terminal.ts';

const USAGE = `${commandName('setup')}
Asks for everything the bridge needs, checks each answer, writes .env and policy.yml into this folder, then runs
doctor, on a terminal with a test in Slack if you want. You can stop at any time: the next run keeps every setting that works.
  --oauth   people install the app in their workspaces (docs/workspaces.md): also asks for its client and address, and
            makes the key that encrypts their tokens
`;

let isForSeveral = false;
try {
  const { help, oauth } = parseArgs({
    options: { help: { type: 'boolean', default: false }, oauth: { type: 'boolean', default: false } },
  }).values;
  isForSeveral = oauth;
  if (help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
} catch (error) {
  process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
  process.exit(2);
}

const isInteractive = process.stdin.isTTY === true;
const terminal = createTerminal(process.stdin, process.stdout, isInteractive);
const alive = stayAlive();
let done: SetupDone;
try {
  done = await runSetup({
    terminal,
    isInteractive,
    isForSeveral,
    newKey: () => randomBytes(32).toString('base64'),
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
const { botName, testChannel } = done;
const code = await doctorCommand(testChannel === null ? [] : ['--channel', testChannel], process.env);
terminal.say(`\n${nextStep(code === 0, botName)}`);
process.exit(code);
