import { storeCommand } from './command.ts';

process.exit(await storeCommand(process.argv.slice(2), process.env));
