import * as shapes from '../config/checks.ts';
import { defaultOf } from '../config/settings.ts';
import { type InspectTarget, inspectLetta, type LettaReport } from '../letta/inspect.ts';
import { createAppLink, type Manifest, manifestFor } from '../manifest/manifest.ts';
import { line, printableLine } from '../printable.ts';
import { appIdOfToken, type BotReport, inspectBot } from '../slack/api/inspect.ts';
import { createSlackApi } from '../slack/api/web-api.ts';
import { createDirectory, type Directory, type Found } from '../slack/people/directory.ts';
import { asProblem, checkShape, keepOrAsk } from './answers.ts';
import { setUpListening } from './listen.ts';
import { idsOnly, setUpOAuth, wantsOAuth } from './oauth.ts';
import type { Files, SetupParts } from './parts.ts';
import { type PolicyAnswers, policyText } from './policy-text.ts';
import { askUntil, askYesOrNo, type Checked, chooseOne } from './questions.ts';
import type { Terminal } from './terminal.ts';

/** What setup leaves to do. */
export interface SetupDone {
  /** `null`: there is no bot before somebody installs the app. */
  botName: string | null;
  /** Id of the channel where doctor should post its self-test; `null`: none. */
  testChannel: string | null;
}

/** Asks for everything that the bridge needs and checks each answer at once. Keeps settings that already work. */
export async function runSetup(parts: SetupParts): Promise<SetupDone> {
  const { terminal, files } = parts;
  const bot = await setUpSlackApp(parts);
  const agents = await setUpLetta(parts);
  const directory = bot ? createDirectory(apiOf(parts, files.readEnv().SLACK_BOT_TOKEN ?? '')) : idsOnly;
  if (!files.hasPolicy() || !(await askYesOrNo(terminal, 'policy.yml already exists. Keep it?', 'yes'))) {
    const answers = await askForAccess(parts, directory, bot, agents);
    files.writePolicy(policyText(answers));
    // The bridge refuses a policy that is set in both places.
    files.writeEnv({ SLACK_ALLOWED_USERS: null, SLACK_ALLOWED_CHANNELS: null, ADMINS: null });
    terminal.say('  ✓ policy.yml written');
  }
  return { botName: bot?.botName ?? null, testChannel: await offerTest(parts, directory) };
}

function apiOf({ files, clock, random, log }: SetupParts, token: string | null) {
  const slackApiUrl = files.readEnv().SLACK_API_URL || defaultOf('SLACK_API_URL');
  return createSlackApi({ token, slackApiUrl, clock, random, log });
}

// ---- Slack -------------------------------------------------------------------------------------

/** @returns the bot of the workspace whose token is set; `null`: there is none, people install the app */
async function setUpSlackApp(parts: SetupParts): Promise<BotReport | null> {
  const { terminal, files, manifest } = parts;
  terminal.say('\n1. The Slack app');
  const isOverHttp = Boolean(files.readEnv().SLACK_SIGNING_SECRET);
  const isOAuth = wantsOAuth(parts);
  if (isOAuth) await setUpOAuth(parts, apiOf(parts, null));
  const isInstalled = isOAuth && !files.readEnv().SLACK_BOT_TOKEN;
  if (!isOAuth && !files.readEnv().SLACK_BOT_TOKEN) {
    const named = await askUntil<Manifest>(
      terminal,
      { text: 'Name of the app', fallback: manifest.display_information.name },
      (answer) => {
        try {
          return { value: manifestFor(manifest, { name: answer, url: null, agent: false, prompts: [] }) };
        } catch (error) {
          return { problem: error instanceof Error ? error.message : String(error) };
        }
      },
    );
    terminal.say(
      `Open this link, choose the workspace, click Create, then Install to Workspace:\n\n  ${createAppLink(named)}\n`,
    );
  }
  const bot = isInstalled
    ? null
    : await keepOrAsk(
        parts,
        'SLACK_BOT_TOKEN',
        { text: 'Bot User OAuth Token (xoxb-…, under OAuth & Permissions; not shown as you type):', secret: true },
        (token) => verifyBot(parts, token),
      );
  if (bot) terminal.say(line`  ✓ @${bot.botName} in ${bot.teamName}`);
  // HTTP delivery is set up by hand, because its secret can be checked only when Slack calls.
  if (isOverHttp) return bot;
  await keepOrAsk(
    parts,
    'SLACK_APP_TOKEN',
    {
      text: 'App-level token with connections:write (xapp-…, under Basic Information; not shown as you type):',
      secret: true,
    },
    (token) => verifyAppToken(parts, bot, token),
  );
  return bot;
}

async function verifyBot(parts: SetupParts, token: string): Promise<Checked<BotReport>> {
  const shape = checkShape(shapes.botTokenShape, token);
  if ('problem' in shape) return shape;
  return asProblem<BotReport>(async () => {
    const bot = await inspectBot(apiOf(parts, token));
    if (bot.botId === null) return { problem: 'this token does not belong to a bot' };
    const missing = parts.manifest.oauth_config.scopes.bot.filter((scope) => !bot.scopes.includes(scope));
    return missing.length === 0
      ? { value: bot }
      : {
          problem: `it lacks ${missing.join(', ')}: add them (OAuth & Permissions), then click Reinstall to Workspace`,
        };
  });
}

async function verifyAppToken(parts: SetupParts, bot: BotReport | null, token: string): Promise<Checked<true>> {
  const shape = checkShape(shapes.appTokenShape, token);
  if ('problem' in shape) return shape;
  const app = appIdOfToken(token);
  if (app !== null && bot?.appId && app !== bot.appId) {
    return {
      problem: `it belongs to the app ${app}, the bot token to the app ${bot.appId}: take both from the same app`,
    };
  }
  return asProblem(async () => {
    await apiOf(parts, token).call('apps.connections.open', {}, { client: 'control' });
    return { value: true };
  });
}

// ---- Letta -------------------------------------------------------------------------------------

type Agents = NonNullable<LettaReport['agents']>;

async function setUpLetta(parts: SetupParts): Promise<Agents> {
  const { terminal, files } = parts;
  terminal.say('\n2. Letta');
  const { LETTA_API_KEY, LETTA_APP_SERVER_URL, LETTA_LISTEN } = files.readEnv();
  const known = LETTA_LISTEN ? 'listen' : LETTA_APP_SERVER_URL ? 'app-server' : LETTA_API_KEY ? 'cloud' : null;
  const mode = known ?? (await chooseMode(terminal));
  if (mode === 'listen') {
    // Which agents a machine has is known when it has dialled in.
    await setUpListening({ terminal, ...envOf(files), makeToken: () => parts.random.id() });
    return [];
  }
  const found = mode === 'cloud' ? await setUpCloud(parts) : await setUpAppServer(parts);
  await chooseAgent(parts, found.agents ?? []);
  return found.agents ?? [];
}

const envOf = (files: Files) => ({
  readEnv: () => files.readEnv(),
  writeEnv: (settings: Readonly<Record<string, string | null>>) => files.writeEnv(settings),
});

const HOW_TO_GET_LETTA = `  On the computer where the agent should work (it needs Node 22.19 or newer):

    npm install -g @letta-ai/letta-code

  Then one of two:
  - With Letta’s cloud: make an API key (app.letta.com, API keys), and run there

      letta server

  - Without it, on this computer: take a key from a model provider, give it to Letta, and start it
    (letta connect --help lists all providers):

      letta --backend local connect anthropic YOUR_KEY
      letta server --backend local --listen ws://127.0.0.1:4500

  Let letta server run, and go on here; or stop now: the next run keeps what is set.`;

async function chooseMode(terminal: Terminal): Promise<'cloud' | 'app-server' | 'listen'> {
  for (;;) {
    const mode = await chooseOne(terminal, 'Where does the agent run?', [
      { label: 'Letta’s cloud, with a computer that runs letta server', value: 'cloud' as const },
      { label: 'your own Letta App Server', value: 'app-server' as const },
      { label: 'on machines that dial this bridge', value: 'listen' as const },
      { label: 'nowhere yet: show me how to get Letta', value: null },
    ]);
    if (mode !== null) return mode;
    terminal.say(HOW_TO_GET_LETTA);
  }
}

async function setUpCloud(parts: SetupParts): Promise<LettaReport> {
  const { terminal, files } = parts;
  const baseUrl = (files.readEnv().LETTA_BASE_URL || defaultOf('LETTA_BASE_URL')).replace(/\/+$/, '');
  const found = await keepOrAsk(
    parts,
    'LETTA_API_KEY',
    { text: 'API key (app.letta.com, API keys; not shown as you type):', secret: true },
    (apiKey) => tryLetta(parts, { mode: 'cloud', baseUrl, apiKey, relay: 'single' }),
  );
  const devices = found.devices ?? [];
  for (const { name, id, isOnline } of devices)
    terminal.say(line`  ${isOnline ? '●' : '○'} ${name} (${id}) ${isOnline ? 'online' : 'offline'}`);
  if (devices.length === 0)
    terminal.say('  ! Letta knows no device yet: run letta server on the computer where the agent should work');
  const known = files.readEnv().LETTA_ENVIRONMENT;
  const isKnown = devices.some(({ id, name }) => id === known || name === known);
  if (devices.length > 1 && !isKnown) {
    const device = await chooseOne(
      terminal,
      'On which device should the agent work?',
      devices.map(({ name, id }) => ({ label: line`${name} (${id})`, value: id })),
    );
    files.writeEnv({ LETTA_ENVIRONMENT: device });
  }
  return found;
}

async function setUpAppServer(parts: SetupParts): Promise<LettaReport> {
  const { terminal, files } = parts;
  for (;;) {
    const url = await askUntil(
      terminal,
      { text: 'Address of the App Server', fallback: files.readEnv().LETTA_APP_SERVER_URL || 'ws://127.0.0.1:4500/ws' },
      (answer) => checkShape(shapes.socketUrl, answer),
    );
    const kept = files.readEnv().LETTA_APP_SERVER_TOKEN;
    const token = kept || (await terminal.ask('Its token (Enter for none; not shown as you type):', true)) || null;
    const { hostname, protocol } = new URL(url);
    if (token !== null && protocol === 'ws:' && !shapes.isLoopback(hostname)) {
      terminal.say('  ✗ ws:// would send the token unencrypted: use wss://, or a server on this machine');
      continue;
    }
    const checked = await tryLetta(parts, { mode: 'app-server', url, token });
    if ('value' in checked) {
      files.writeEnv({ LETTA_APP_SERVER_URL: url, LETTA_APP_SERVER_TOKEN: token });
      terminal.say(line`  ✓ Letta Code ${checked.value.version ?? 'of an unknown version'} answers`);
      return checked.value;
    }
    terminal.say(`  ✗ ${printableLine(checked.problem)}`);
    if (kept) files.writeEnv({ LETTA_APP_SERVER_TOKEN: null });
  }
}

function tryLetta(parts: SetupParts, target: InspectTarget): Promise<Checked<LettaReport>> {
  return asProblem(async () => ({ value: await inspectLetta(target, parts, []) }));
}

async function chooseAgent({ terminal, files }: SetupParts, agents: Agents): Promise<void> {
  const known = files.readEnv().LETTA_AGENT_ID;
  if (agents.length < 2 || agents.some(({ id }) => id === known)) {
    const [only] = agents;
    if (only && agents.length === 1) terminal.say(line`  ✓ the agent is ${only.name} (${only.id})`);
    return;
  }
  const options = agents.map(({ id, name }) => ({ label: line`${name} (${id})`, value: id }));
  files.writeEnv({ LETTA_AGENT_ID: await chooseOne(terminal, 'Which agent should answer?', options) });
}

// ---- access ------------------------------------------------------------------------------------

function splitWords(answer: string): string[] {
  return answer
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

async function askForAccess(
  { terminal, files }: SetupParts,
  directory: Directory,
  bot: BotReport | null,
  agents: Agents,
): Promise<PolicyAnswers> {
  terminal.say('\n3. Who may use it, and where');
  terminal.say(
    '  members (all full members of the workspace, no guests), or e-mail addresses, @handles, @user-groups, ids; separated by commas.',
  );
  const users = await askUntil(terminal, { text: 'Who?', fallback: 'members' }, (answer) =>
    resolveAll(splitWords(answer), async (word) =>
      word === 'members' ? { found: { id: word, name: word } } : directory.findPerson(word),
    ),
  );
  const admins = await askUntil(
    terminal,
    {
      text: 'Who administers it: changes agents and permissions, pauses it, and is named in refusals? (people, user groups, or none)',
      fallback: files.readEnv().ADMINS || 'none',
    },
    async (answer) => {
      return answer === 'none' ? { value: [] } : resolveAll(splitWords(answer), directory.findPerson);
    },
  );
  const channels = await askUntil(
    terminal,
    {
      text: 'In which channels? (#names or ids, separated by commas; * for every channel it is invited to)',
      fallback: bot ? await joinedChannels(directory) : '*',
    },
    (answer) =>
      resolveAll(splitWords(answer), async (word) =>
        word === '*' ? { found: { id: word, name: word, isMember: true } } : directory.findChannel(word),
      ),
  );
  for (const { name, isMember } of channels) {
    terminal.say(
      isMember
        ? line`  ✓ ${name === '*' ? 'everywhere' : `#${name}`}`
        : line`  ! write /invite @${bot?.botName ?? ''} in #${name}`,
    );
  }
  const directMessages = await askYesOrNo(terminal, 'Also in direct messages, in groups too?', 'yes');
  let directAgent: string | null = null;
  if (directMessages && agents.length > 1) {
    terminal.say('  An agent has one memory: what people write in direct messages can come up in a channel.');
    directAgent = await chooseOne(terminal, 'Which agent should answer direct messages?', [
      { label: 'the same one', value: null },
      ...agents.map(({ id, name }) => ({ label: line`${name} (${id})`, value: id })),
    ]);
  }
  return { users, admins, channels, directMessages, directAgent };
}

/** More are not offered as one answer. */
const JOINED = 20;

/** The channels that the bot is already in, as an answer to take; empty: none, too many, or Slack does not say. */
async function joinedChannels(directory: Directory): Promise<string> {
  const found = await asProblem(async () => ({ value: await directory.listJoined() }));
  if (!('value' in found) || found.value.length > JOINED) return '';
  // A name from outside never becomes a part of the answer that means something else.
  const words = found.value.map(({ id, name }) => (/^[\p{L}\p{M}\p{N}_-]+$/u.test(name) ? `#${name}` : id));
  return words.join(', ');
}

/** @returns the id of the channel in which somebody wants a test posted */
async function offerTest({ terminal, files, isInteractive }: SetupParts, directory: Directory): Promise<string | null> {
  const allowed = files.readConfig()?.policies.usual.channels;
  if (!isInteractive || !allowed) return null;
  const joined = await asProblem(async () => ({ value: await directory.listJoined() }));
  if (!('value' in joined)) return null;
  const open = joined.value.filter(({ id }) => allowed.everywhere || allowed.ids.includes(id)).slice(0, JOINED);
  const [first] = open;
  if (!first) return null;
  const where = open.length === 1 ? line`#${first.name}` : 'a channel';
  if (
    !(await askYesOrNo(
      terminal,
      `Post a test with a button in ${where}, to see that Slack reaches this machine?`,
      'yes',
    ))
  )
    return null;
  if (open.length === 1) return first.id;
  const options = open.map(({ id, name }) => ({ label: line`#${name}`, value: id }));
  return chooseOne(terminal, 'In which channel?', options);
}

async function resolveAll<What extends { id: string }>(
  all: readonly string[],
  resolve: (word: string) => Promise<Found<What>>,
): Promise<Checked<What[]>> {
  if (all.length === 0) return { problem: 'name at least one' };
  return asProblem<What[]>(async () => {
    const found = new Map<string, What>();
    const problems: string[] = [];
    for (const word of all) {
      const answer = await resolve(word);
      if ('found' in answer) found.set(answer.found.id, answer.found);
      else problems.push(answer.problem);
    }
    return problems.length > 0 ? { problem: problems.join('; ') } : { value: [...found.values()] };
  });
}
