export interface Setting {
  name: string;
  /** What it means: the table row in docs/settings.md. */
  description: string;
  /** The value that an absent or empty setting has; `null`: none. */
  default: string | null;
  /** Never printed, not even in a report of problems. */
  secret?: true;
}

/** Every setting. Tests hold docs/settings.md and .env.example to this list. */
export const SETTINGS = [
  {
    name: 'SLACK_BOT_TOKEN',
    description: 'Bot token of the Slack app, `xoxb-…`. This or `SLACK_CLIENT_ID` is required; both can be set.',
    default: null,
    secret: true,
  },
  {
    name: 'SLACK_APP_TOKEN',
    description:
      'App-level token with `connections:write`, `xapp-…`: events come over Socket Mode. This or `SLACK_SIGNING_SECRET` is required.',
    default: null,
    secret: true,
  },
  {
    name: 'SLACK_SIGNING_SECRET',
    description: 'Signing secret of the Slack app: events come over HTTP on `PORT`, path `/slack/events`.',
    default: null,
    secret: true,
  },
  {
    name: 'SLACK_CLIENT_ID',
    description:
      'Client id of the Slack app: people install it in their workspaces at `/slack/install` (docs/workspaces.md). Needs the five settings below.',
    default: null,
  },
  {
    name: 'SLACK_CLIENT_SECRET',
    description: 'Client secret of the Slack app.',
    default: null,
    secret: true,
  },
  {
    name: 'SLACK_REDIRECT_URL',
    description:
      'The address to which Slack sends people back, as the Slack app names it: `https://bridge.example.com/slack/oauth_redirect`. `http://` only on this machine.',
    default: null,
  },
  {
    name: 'ENCRYPTION_KEY',
    description:
      'Key that encrypts the tokens of the workspaces: 32 random bytes in base64 or hex (`openssl rand -base64 32`). Without it every workspace must install the app again.',
    default: null,
    secret: true,
  },
  {
    name: 'ENCRYPTION_KEY_OLD',
    description:
      'The key before `ENCRYPTION_KEY`, while it is replaced: it still decrypts, and what it encrypted is encrypted again.',
    default: null,
    secret: true,
  },
  {
    name: 'SLACK_ALLOWED_WORKSPACES',
    description:
      'Which workspaces may install the app, separated by commas: ids of workspaces (`T…`), of organisations (`E…`), `*` (all). Those that the policy file names may, too.',
    default: null,
  },
  {
    name: 'SLACK_AGENT',
    description:
      'Whether the Slack app is declared as an agent (`npm run manifest -- --agent`), `on` or `off`: then an installation also asks for `assistant:write`.',
    default: 'off',
  },
  {
    name: 'SLACK_ALLOWED_USERS',
    description:
      'Who may use the bot, separated by commas: user ids, user groups (`S…`), `members` (full members of the workspace), `*` (the same). Guests, people of other organisations and bots only by id. Required here or in the policy file.',
    default: null,
  },
  {
    name: 'SLACK_ALLOWED_CHANNELS',
    description:
      'Where the bot may be used, separated by commas: channel ids, `dm` (direct messages, in groups too), `group_dm` (these alone), `*` (everywhere, but channels that other organisations share only by id). Required here or in the policy file.',
    default: null,
  },
  {
    name: 'POLICY',
    description:
      'File with the policy: who, where, what differs from channel to channel, bots and limits (`policy.example.yml`). Without this setting the file is optional.',
    default: './policy.yml',
  },
  {
    name: 'SLACK_API_URL',
    description: 'Base of the Slack Web API. `http://` only on this machine.',
    default: 'https://slack.com/api/',
  },
  {
    name: 'LETTA_API_KEY',
    description:
      'Key of Letta’s cloud: the agent runs in one of your Letta Code environments. This, `LETTA_APP_SERVER_URL` or `LETTA_LISTEN` is required.',
    default: null,
    secret: true,
  },
  {
    name: 'LETTA_BASE_URL',
    description: 'Base of Letta’s REST API and relay. `http://` only on this machine.',
    default: 'https://api.letta.com',
  },
  {
    name: 'LETTA_WEB_URL',
    description:
      'Letta’s web app, `https://…`, where *Details* and Home link to conversations of the cloud. If not set: `https://chat.letta.com` for `https://api.letta.com`, no links for another `LETTA_BASE_URL`.',
    default: null,
  },
  {
    name: 'LETTA_ENVIRONMENT',
    description:
      'Which environment, or machine that dials the bridge, to use: its device id or connection name. If not set: the only one that is online.',
    default: null,
  },
  {
    name: 'LETTA_RELAY',
    description: 'How the bridge talks to the relay: `single` (one socket) or `pair` (control and stream).',
    default: 'single',
  },
  {
    name: 'LETTA_APP_SERVER_URL',
    description: 'Your own Letta App Server instead of the cloud: `ws://127.0.0.1:4500/ws`, `wss://…`.',
    default: null,
  },
  {
    name: 'LETTA_APP_SERVER_TOKEN',
    description: 'Token of that App Server. Over `ws://` only on this machine.',
    default: null,
    secret: true,
  },
  {
    name: 'LETTA_LISTEN',
    description:
      'Where machines dial the bridge, instead of the cloud: `127.0.0.1:4600`, or a path such as `/devices` on the bridge’s own `PORT`.',
    default: null,
  },
  {
    name: 'LETTA_LISTEN_TOKEN',
    description: 'The token that these machines bring as their `LETTA_API_KEY`, at least 24 characters.',
    default: null,
    secret: true,
  },
  {
    name: 'LETTA_LISTEN_TOKENS',
    description:
      'Instead of it, a file with one token for each machine: on each line its `--computer-name`, a space, and its token.',
    default: null,
  },
  {
    name: 'LETTA_LISTEN_URL',
    description:
      'The address at which the machines reach the bridge, usually `https://` of a proxy. `http://` only on this machine, where it need not be set. If `LETTA_LISTEN` is a path, it must be; a bare address gets that path.',
    default: null,
  },
  {
    name: 'LETTA_SHARED_FS',
    description:
      'Whether the agent sees the same files as the bridge, `true` or `false`: then files that people send are written to `~/.letta/slack-bridge/inbox` of the bridge’s user. If not set: the bridge finds out.',
    default: null,
  },
  {
    name: 'LETTA_AGENT_ID',
    description:
      'Which agent answers, `agent-…`. If not set: the only agent there is; on an App Server without agents the bridge creates one.',
    default: null,
  },
  {
    name: 'PERMISSIONS',
    description:
      'What the agent may do without asking: `guarded` (read files inside its working directory), `strict` (nothing), `standard` (read files **anywhere** and run commands that Letta finds harmless, `env` among them), `acceptEdits` (also change files), `unrestricted` (everything; only where `ALLOW_UNRESTRICTED` allows it).',
    default: 'guarded',
  },
  {
    name: 'ALLOW_UNRESTRICTED',
    description:
      'Where `unrestricted` is allowed, separated by commas: channel ids, `dm`, `group_dm` (`dm` does not cover it here), `*`. If not set: nowhere.',
    default: null,
  },
  {
    name: 'AUTO_APPROVE',
    description:
      'What the bridge approves without asking a person (the audit lists it), separated by semicolons: `Bash(npm test)` (exactly that), `Bash(npm run *)` (followed by plain words, no options except those that the rule names), `Write(docs/**)` (files of the working directory, except those that hold secrets or run by themselves), `WebSearch` (every call of a tool).',
    default: null,
  },
  {
    name: 'APPROVERS',
    description:
      'Who may decide an approval, separated by commas: `requester` (the person whose message started the turn), user ids, user groups (`S…`).',
    default: 'requester',
  },
  {
    name: 'SELF_APPROVAL',
    description: 'Whether approvers may decide requests of their own turns: `allow` or `deny`.',
    default: 'allow',
  },
  {
    name: 'ADMINS',
    description:
      'Who may change agents and permissions and pause the bridge, separated by commas: user ids, user groups (`S…`). Refusals name them as the people to ask.',
    default: null,
  },
  {
    name: 'VERBOSITY',
    description:
      'How much people see of what the agent does: `quiet` (its answer and what went wrong), `compact` (one line while it works, figures at the end), `verbose` (also a line for each tool). This never changes the answer.',
    default: 'compact',
  },
  {
    name: 'SHOW_REASONING',
    description:
      'Whether people can read the model’s reasoning under *Details*, `on` or `off`; the last line counts it. It is never part of the answer.',
    default: 'off',
  },
  {
    name: 'MAX_MESSAGES',
    description:
      'How many Slack messages the text of one answer may fill (1 to 99). The rest is uploaded as a Markdown file below it; if the app may not upload files, all of it is posted.',
    default: '5',
  },
  {
    name: 'NATIVE_STREAMS',
    description:
      'Where live text is shown by Slack’s native streams: `dm` (in threads of direct messages; Slack streams into threads only), `off` (nowhere: it is edited in, as in channels). Where Slack refuses streams, the bridge edits.',
    default: 'dm',
  },
  {
    name: 'STORE',
    description:
      'Where threads are stored: `sqlite://path`; `postgres://user:password@host/database?sslmode=verify-full`, which several processes may share (`docs/operating.md`); `memory://` to forget them when the bridge stops. `PGPASSWORD`, `PGSSLMODE` and `PGSSLROOTCERT` count where the URI does not say.',
    default: 'sqlite://./data/bridge.db',
  },
  {
    name: 'STORE_CONNECTIONS',
    description:
      'How many connections to Postgres a process has at most for what it stores (1 to 200). Three more serve its leases and signals.',
    default: '10',
  },
  {
    name: 'LEASE_HEARTBEAT',
    description: 'How often a process tells Postgres that it still serves its workspaces (`1s` to `60s`).',
    default: '5s',
  },
  {
    name: 'LEASE_EXPIRY',
    description:
      'How long after that another process may take them over (`3s` to `5m`, at least twice `LEASE_HEARTBEAT`). The same in all processes.',
    default: '15s',
  },
  {
    name: 'NOTIFY_AFTER',
    description:
      'When a turn ends this long after its requester was last seen in the thread (`2m`, `30m`), a short new message mentions them, because edits notify no one; `0s`: never. Each person can choose another time on the bot’s *Home* tab.',
    default: '2m',
  },
  {
    name: 'RETENTION',
    description:
      'How long the bridge keeps what the tools of a finished turn did, for its *Details* button (`12h`, `7d`); `0s`: not at all. Secrets of known formats are removed first.',
    default: '7d',
  },
  {
    name: 'STALE_AFTER',
    description:
      'How old a message may be and still run without asking (`15m`, `2h`), whether it arrived late or waited for an unreachable device. For older ones the author chooses *Run now* or *Discard*.',
    default: '15m',
  },
  {
    name: 'HISTORY',
    description:
      'Whether the bridge searches the history for messages that Slack could not deliver: `full`; `limited` for apps that Slack allows one history call a minute, which also holds for reading threads (`CONTEXT_MESSAGES`); `off`.',
    default: 'full',
  },
  {
    name: 'CONTEXT_MESSAGES',
    description:
      'How many of the newest messages of a thread the agent reads when it joins, besides the first one (0 to 200, at most 24,000 characters); later turns bring what was written since. `context` in the policy file turns this off for a channel.',
    default: '50',
  },
  {
    name: 'CATCH_UP_MAX_AGE',
    description: 'How far back it searches, at most `24h`.',
    default: '24h',
  },
  {
    name: 'CATCH_UP_THREADS',
    description: 'How many threads it searches, the most recently used first.',
    default: '200',
  },
  {
    name: 'CATCH_UP_THREAD_AGE',
    description: 'It searches only threads that were used within this time, and their channels.',
    default: '7d',
  },
  {
    name: 'APPROVAL_TIMEOUT',
    description:
      'How long an approval or a question may wait (`30m`, `24h`, at most `30d`). Then the bridge denies it.',
    default: '24h',
  },
  {
    name: 'AUDIT_RETENTION',
    description:
      'How long the bridge keeps the outcome of each approval and question (`/agent audit`), at most `3650d`.',
    default: '90d',
  },
  {
    name: 'PORT',
    description:
      'Port of the HTTP server for events, installing the app, `/healthz`, `/readyz` and `/metrics`. With Socket Mode the server runs only when this is set; with HTTP the default is 3000.',
    default: null,
  },
  {
    name: 'METRICS_BY_WORKSPACE',
    description:
      'Whether `/metrics` counts each workspace apart, `on` or `off`: the label `workspace`, so some 30 series more for each of them (`docs/operating.md`).',
    default: 'off',
  },
  {
    name: 'QUEUE_PER_THREAD',
    description: 'How many messages may wait in one thread. The bridge refuses more, visibly.',
    default: '50',
  },
  {
    name: 'QUEUE_TOTAL',
    description: 'How many messages may wait in all threads of a workspace together. The bridge refuses more, visibly.',
    default: '1000',
  },
  {
    name: 'TURN_SILENCE',
    description:
      'How long a running turn may be silent (`30m`, `2h`). Then the thread says so and the bridge asks Letta; after the same time again it stops the turn. Waiting for people or for the device does not count.',
    default: '30m',
  },
  {
    name: 'DRAIN_TIMEOUT',
    description: 'How long running turns may go on after SIGTERM before the bridge stops (`20s`, `5m`, `0s`).',
    default: '20s',
  },
  {
    name: 'RECORD_THREADS',
    description:
      'A folder in which the bridge records what happens in each thread, to search for a fault with `npm run replay`. The recordings hold what people and the agent write; keys and passwords are left out. Off by default.',
    default: null,
  },
  { name: 'LOG_LEVEL', description: '`debug`, `info`, `warn` or `error`.', default: 'info' },
] as const satisfies readonly Setting[];

export type SettingName = (typeof SETTINGS)[number]['name'];

/** The default value; empty if there is none. */
export function defaultOf(name: SettingName): string {
  return SETTINGS.find((setting) => setting.name === name)?.default ?? '';
}

/** The table of docs/settings.md, in Markdown. */
export function settingsTable(): string {
  const rows = SETTINGS.map(({ name, description, default: value }) => {
    return `| \`${name}\` | ${value === null ? '' : `\`${value}\``} | ${description} |`;
  });
  return ['| setting | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}
