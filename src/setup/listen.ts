import * as shapes from '../config/checks.ts';
import { deviceCommand } from '../letta/devices/command.ts';
import { line } from '../printable.ts';
import { askUntil, type Checked } from './questions.ts';
import type { Terminal } from './terminal.ts';

export interface ListenSetup {
  terminal: Terminal;
  readEnv(): Readonly<Record<string, string | undefined>>;
  writeEnv(settings: Readonly<Record<string, string | null>>): void;
  /** A new token. */
  makeToken(): string;
}

/** Asks where machines dial in, makes their token, and shows what to run on the first one. */
export async function setUpListening({ terminal, readEnv, writeEnv, makeToken }: ListenSetup): Promise<void> {
  const before = readEnv();
  const at = await askUntil(
    terminal,
    { text: 'Where should the bridge listen for machines?', fallback: before.LETTA_LISTEN || '127.0.0.1:4600' },
    (answer): Checked<shapes.ListenAddress & { text: string }> => {
      const parsed = shapes.listenShape.safeParse(answer);
      return parsed.success ? { value: { text: answer, ...parsed.data } } : { problem: problemOf(parsed.error) };
    },
  );
  const isHere = 'host' in at && shapes.isLoopback(at.host);
  const url = await askUntil(
    terminal,
    {
      text: isHere
        ? 'Its address for the machines, https:// of a proxy (Enter: only machines on this host)'
        : 'Its address for the machines, https:// of a proxy',
      fallback: before.LETTA_LISTEN_URL || (isHere ? `http://${at.text}` : ''),
    },
    (answer): Checked<string> => {
      const parsed = shapes.webUrl.safeParse(answer);
      return parsed.success ? { value: shapes.addressForDevices(answer, at) } : { problem: problemOf(parsed.error) };
    },
  );
  if ('path' in at && !before.PORT && !before.SLACK_SIGNING_SECRET) writeEnv({ PORT: '3000' });
  const token = before.LETTA_LISTEN_TOKEN || makeToken();
  const named = { LETTA_LISTEN: at.text, LETTA_LISTEN_URL: url };
  writeEnv(before.LETTA_LISTEN_TOKENS ? named : { ...named, LETTA_LISTEN_TOKEN: token });
  const name = await askUntil(
    terminal,
    { text: 'Name of the first machine', fallback: 'build-box' },
    (answer): Checked<string> =>
      /^[\w.-]{1,60}$/.test(answer) ? { value: answer } : { problem: 'Use letters, digits, . _ and - only.' },
  );
  const shown = before.LETTA_LISTEN_TOKENS ? 'TOKEN_OF_THIS_MACHINE' : token;
  terminal.say(
    line`  On ${name} (it needs Node 22.19 or newer, and npm install -g @letta-ai/letta-code), give Letta a model key:`,
  );
  terminal.say(
    '\n    letta --backend local connect anthropic YOUR_KEY\n\n  Then run there, and let it run; it dials in when the bridge is up:',
  );
  terminal.say(`\n    ${deviceCommand({ url, token: shown, name })}\n`);
}

const problemOf = ({ issues }: { issues: readonly { message: string }[] }) => issues[0]?.message ?? 'is not valid';
