import { parseArgs } from 'node:util';
import { printable } from '../printable.ts';
import { readManifest } from './file.ts';
import { createAppLink, manifestFor, manifestYaml } from './manifest.ts';

const USAGE = `npm run manifest -- [options]
  --name NAME     name of the app and of its bot, at most 35 characters
  --url ADDRESS   where Slack reaches the bridge (https://bridge.example.com): signed HTTP instead of Socket Mode
  --http          as --url, which it needs
  --agent         declare the app as an agent: Slack's own status and stop button; guests can not use it then
Prints the manifest as YAML, with a link that creates the app in its first line.
`;

function wishes() {
  const { values } = parseArgs({
    options: {
      name: { type: 'string' },
      url: { type: 'string' },
      http: { type: 'boolean', default: false },
      agent: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.http && values.url === undefined) throw new Error('--http needs --url, the address of the bridge');
  return { ...values, name: values.name ?? null, url: values.url ?? null };
}

try {
  const given = wishes();
  if (given.help) process.stdout.write(USAGE);
  else {
    const manifest = manifestFor(readManifest(), given);
    process.stdout.write(`# Create the app: ${createAppLink(manifest)}\n${manifestYaml(manifest)}`);
  }
} catch (error) {
  process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
  process.exitCode = 2;
}
