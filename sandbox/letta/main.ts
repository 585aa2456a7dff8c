import { parseArgs } from 'node:util';
import { startScriptedLetta } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    hosted: { type: 'boolean', default: false },
    paired: { type: 'boolean', default: false },
    token: { type: 'string' },
  },
});

const letta = await startScriptedLetta({
  port: Number(values.port),
  surface: values.hosted ? 'hosted' : 'app-server',
  isPaired: values.paired,
  token: values.token ?? null,
});
process.stdout.write(`${letta.url}\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await letta.close();
    process.exit(0);
  });
}
