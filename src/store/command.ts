import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { stayAlive, systemClock } from '../clock.ts';
import { commandName } from '../command-name.ts';
import { asBridgeError } from '../errors.ts';
import { createLog } from '../ops/log.ts';
import { printable } from '../printable.ts';
import { type CopyProgress, copyStore } from '../storage/copy.ts';
import { parseStoreUri, passwordsOf, type StoreUri, withPostgresEnvironment } from '../storage/store-uri.ts';

const USAGE = `${commandName('store', 'copy FROM TO [options]')}
  FROM              the store to read: sqlite://./data/bridge.db, or postgres://…
  TO                the database to copy to: postgres://user@host/database?sslmode=verify-full
  --workspace TEAM  id of the workspace of SLACK_BOT_TOKEN (T…), where the store does not tell
Copies a store, reads each row again, and only then commits. No bridge may use either store. PGPASSWORD and the other
variables of Postgres count, from the environment or from .env.
Exits with 0 when all is copied, with 2 when something must be corrected first, with 1 after any other failure.
`;

/** A line is printed at each tenth of the way. */
const TENTHS = 10;

class UsageError extends Error {}

interface Wishes {
  from: StoreUri;
  to: StoreUri;
  workspace: string | null;
  secrets: string[];
}

function readWishes(args: string[], env: NodeJS.ProcessEnv): Wishes | 'help' {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { workspace: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) return 'help';
  const [what, from, to, ...more] = positionals;
  if (what !== 'copy')
    throw new UsageError(what === undefined ? 'What should be done with the store?' : 'Unknown command.');
  if (from === undefined || to === undefined || more.length > 0)
    throw new UsageError('copy needs two stores: FROM and TO.');
  const { workspace = null } = values;
  if (workspace !== null && !/^[TE][A-Z0-9]+$/.test(workspace))
    throw new UsageError('--workspace needs an id such as T0123ABCD.');
  const [source, target] = [withPostgresEnvironment(from, env), withPostgresEnvironment(to, env)];
  return {
    from: readUri('FROM', source),
    to: readUri('TO', target),
    workspace,
    secrets: [...passwordsOf(source), ...passwordsOf(target)],
  };
}

function readUri(name: string, text: string): StoreUri {
  const parsed = parseStoreUri(text);
  if (parsed.ok) return parsed.uri;
  throw new UsageError(`${name} ${parsed.problem}. ${parsed.fix}`);
}

/**
 * Runs `store copy` and prints how far it is.
 * @param args as a person types them
 * @param env the environment of this process, into which `.env` is loaded
 * @returns the exit code
 */
export async function storeCommand(args: string[], env: NodeJS.ProcessEnv): Promise<0 | 1 | 2> {
  const say = (text: string) => void process.stdout.write(printable(text));
  const complain = (text: string) => void process.stderr.write(printable(text));
  if (existsSync('.env')) process.loadEnvFile('.env');
  let wishes: Wishes | 'help';
  try {
    wishes = readWishes(args, env);
  } catch (error) {
    // What parseArgs complains of may be a URI.
    complain(`${error instanceof UsageError ? error.message : 'An option is wrong.'}\n${USAGE}`);
    return 2;
  }
  if (wishes === 'help') {
    say(USAGE);
    return 0;
  }
  const { from, to, workspace, secrets } = wishes;
  const keepAlive = stayAlive();
  const log = createLog({ level: 'error', pretty: false, secrets, to: process.stderr });
  try {
    const copied = await copyStore(from, to, { clock: systemClock, log, workspace, onProgress: progressPrinter(say) });
    const of = copied.workspaces === 1 ? '1 workspace' : `${copied.workspaces} workspaces`;
    say(`Copied ${copied.rows} rows of ${of}, and read each of them again.\n`);
    say('Now set STORE to the new store and start the bridge. Do not start it on the old one again.\n');
    return 0;
  } catch (error) {
    const failure = asBridgeError(error);
    complain(`Nothing was copied: ${failure.message}.\n`);
    return failure.code === 'store_failed' || failure.code === 'internal' ? 1 : 2;
  } finally {
    keepAlive.letGo();
  }
}

const DOING = { copying: 'Copying', comparing: 'Reading again' } as const;

function progressPrinter(say: (text: string) => void): (progress: CopyProgress) => void {
  let told = '';
  return ({ doing, done, total }) => {
    const tenth = `${doing} ${Math.floor((done / Math.max(1, total)) * TENTHS)}`;
    if (tenth === told) return;
    told = tenth;
    say(`${DOING[doing]}: ${done} of ${total} rows\n`);
  };
}
