#!/usr/bin/env node
// Old Node runs this file, too: it says so before anything that it could not even read is loaded.
const LEAST = 24;

if (Number.parseInt(process.versions.node, 10) < LEAST) {
  process.stderr.write(
    'letta-slack needs Node ' +
      LEAST +
      ' or later, and this is Node ' +
      process.versions.node +
      '.\n' +
      'Install it from https://nodejs.org, or let npm bring it: npx -p node@' +
      LEAST +
      ' -p letta-slack-bridge letta-slack\n',
  );
  process.exit(1);
} else {
  import('../dist/src/cli.js');
}
