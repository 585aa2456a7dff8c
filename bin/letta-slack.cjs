#!/usr/bin/env node
// Old Node runs this file, too: it says so before anything that it could not even read is loaded.
const LEAST = 24;

/** A word as a shell reads it. */
function quoted(word) {
  return /^[\w./:=@-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`;
}

/** A clone of the repository has no `dist` before it is built. */
function explain(error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || !String(error.message).includes('cli.js')) throw error;
  process.stderr.write(
    'letta-slack is not built yet. Run npm run build first, or use the scripts of package.json: npm start, npm run setup, npm run doctor.\n',
  );
  process.exit(1);
}

if (Number.parseInt(process.versions.node, 10) < LEAST) {
  process.stderr.write(
    'letta-slack needs Node ' +
      LEAST +
      ' or later, and this is Node ' +
      process.versions.node +
      '.\n' +
      'Install Node ' +
      LEAST +
      ' from https://nodejs.org, or let npm bring it for this command:\n  npx -y -p node@' +
      LEAST +
      ' node ' +
      [__filename].concat(process.argv.slice(2)).map(quoted).join(' ') +
      '\n',
  );
  process.exit(1);
} else {
  import('../dist/src/cli.js').catch(explain);
}
