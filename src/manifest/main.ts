import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { closedPolicy } from '../bridge/access/policy.ts';
import { commandName } from '../command-name.ts';
import { readPolicyFile } from '../config/policy-file.ts';
import { printable } from '../printable.ts';
import { readManifest } from './file.ts';
import { createAppLink, manifestFor, manifestYaml } from './manifest.ts';

const USAGE = `${commandName('manifest', '[options]')}
  --name NAME     name of the app and its bot, at most 35 characters
  --url ADDRESS   public address of the bridge (https://bridge.example.com): signed HTTP instead of Socket Mode
  --http          the same; needs --url
  --oauth ADDRESS public address of the bridge, where people of other workspaces install the app
  --org           lets organisations (Enterprise Grid) install the app as a whole
  --policy FILE   policy file with the prompts that an agent suggests (default: policy.yml, where there is one)
  --agent         declare the app as an agent: Slack shows its own status and stop button, but guests cannot use it
Prints the manifest as YAML. Its first line is a link that creates the app.
`;

function readWishes() {
  const { values } = parseArgs({
    options: {
      name: { type: 'string' },
      url: { type: 'string' },
      http: { type: 'boolean', default: false },
      oauth: { type: 'string' },
      org: { type: 'boolean', default: false },
      agent: { type: 'boolean', default: false },
      policy: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.http && values.url === undefined)
    throw new Error('--http needs --url with the public address of the bridge');
  const { name = null, url = null, oauth = null, policy } = values;
  return { ...values, name, url, oauth, prompts: values.help ? [] : readPrompts(policy ?? null) };
}

/** @param path `null`: policy.yml, if there is one */
function readPrompts(path: string | null) {
  const file = path ?? 'policy.yml';
  if (path === null && !existsSync(file)) return closedPolicy.prompts;
  if (!existsSync(file)) throw new Error(`there is no ${file}`);
  const read = readPolicyFile(file, readFileSync(file, 'utf8'));
  if ('file' in read) return read.file.prompts ?? closedPolicy.prompts;
  throw new Error(read.problems.map(({ setting, problem, fix }) => `${setting} ${problem}. ${fix}`).join('\n'));
}

try {
  const given = readWishes();
  if (given.help) process.stdout.write(USAGE);
  else {
    const manifest = manifestFor(readManifest(), given);
    process.stdout.write(`# Create the app: ${createAppLink(manifest)}\n${manifestYaml(manifest)}`);
  }
} catch (error) {
  process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
  process.exitCode = 2;
}
