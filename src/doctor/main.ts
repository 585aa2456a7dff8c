import { doctorCommand } from './command.ts';

process.exit(await doctorCommand(process.argv.slice(2), process.env));
