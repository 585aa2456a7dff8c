/** What the package and a clone call the same thing. */
export type CommandName = 'start' | 'doctor' | 'setup' | 'sandbox' | 'store' | 'manifest';

/** The package contains what TypeScript was compiled to; a clone runs its sources. */
const IS_PACKAGE = import.meta.url.endsWith('.js');

/**
 * What a person types to run a command here: `letta-slack doctor` in the package, `npm run doctor` in a clone.
 * @param options what follows, as `--channel C0123ABCD`; left out: nothing
 */
export function commandName(name: CommandName, options = '', isPackage = IS_PACKAGE): string {
  const command = isPackage ? `letta-slack ${name}` : name === 'start' ? 'npm start' : `npm run ${name}`;
  if (options === '') return command;
  // npm keeps the options for itself that are before "--".
  return isPackage ? `${command} ${options}` : `${command} -- ${options}`;
}
