export interface Setting {
  name: string;
  /** What it means: the README's table row. */
  description: string;
  /** What an absent or empty setting means, as it would be written; `null`: nothing. */
  default: string | null;
  /** Never printed, not even in a report of problems. */
  secret?: true;
}

/** Every setting, written once: README and .env.example are held to it. */
export const SETTINGS = [
  {
    name: 'SLACK_BOT_TOKEN',
    description: 'Bot token of the Slack app, `xoxb-…`. Required.',
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
    name: 'SLACK_ALLOWED_USERS',
    description:
      'Who may use the bot, separated by commas: user ids, user groups (`S…`), `members` (full members of the workspace), `*` (the same). Guests, people of other organisations and bots only by id. Required here or in the policy file.',
    default: null,
  },
  {
    name: 'SLACK_ALLOWED_CHANNELS',
    description:
      'Where the bot may be used, separated by commas: channel ids, `dm` (direct messages), `*` (everywhere, but channels that other organisations share only by id). Required here or in the policy file.',
    default: null,
  },
  {
    name: 'POLICY',
    description:
      'File with the policy: who, where, what differs from channel to channel, bots and limits (`policy.example.yml`). Without this setting it need not be there.',
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
      'Key of Letta’s cloud: the agent runs in one of your Letta Code environments. This or `LETTA_APP_SERVER_URL` is required.',
    default: null,
    secret: true,
  },
  {
    name: 'LETTA_BASE_URL',
    description: 'Base of Letta’s REST API and relay. `http://` only on this machine.',
    default: 'https://api.letta.com',
  },
  {
    name: 'LETTA_ENVIRONMENT',
    description: 'Which environment: its device id or connection name. Without it the only one that is online.',
    default: null,
  },
  {
    name: 'LETTA_RELAY',
    description: 'How the relay is spoken to: `single` (one socket) or `pair` (control and stream).',
    default: 'single',
  },
  {
    name: 'LETTA_APP_SERVER_URL',
    description: 'A Letta App Server of your own instead of the cloud: `ws://127.0.0.1:4500/ws`, `wss://…`.',
    default: null,
  },
  {
    name: 'LETTA_APP_SERVER_TOKEN',
    description: 'Token of that App Server. Over `ws://` only on this machine.',
    default: null,
    secret: true,
  },
  {
    name: 'LETTA_AGENT_ID',
    description:
      'Which agent answers, `agent-…`. Without it the only one there is; an App Server without any gets a new one.',
    default: null,
  },
  {
    name: 'PERMISSIONS',
    description:
      'What the agent may do without asking: `guarded` (read files inside its working directory), `strict` (nothing), `standard` (read files **anywhere** and run commands that Letta finds harmless, `env` among them), `acceptEdits` (change files, too), `unrestricted` (everything; only where `ALLOW_UNRESTRICTED` says so).',
    default: 'guarded',
  },
  {
    name: 'ALLOW_UNRESTRICTED',
    description: 'Where `unrestricted` is allowed, separated by commas: channel ids, `dm`, `*`. Nowhere without it.',
    default: null,
  },
  {
    name: 'AUTO_APPROVE',
    description:
      'What is approved without a person, with an entry in the audit, separated by semicolons: `Bash(npm test)` (exactly that), `Bash(npm run *)` (plain words behind it, no options but those that the rule names), `Write(docs/**)` (files of the working directory, but none that hold secrets or run by themselves), `WebSearch` (every call of a tool).',
    default: null,
  },
  {
    name: 'APPROVERS',
    description:
      'Whose click counts on an approval, separated by commas: `requester` (the person whose message started the turn), user ids, user groups (`S…`).',
    default: 'requester',
  },
  {
    name: 'SELF_APPROVAL',
    description: 'Whether an approver may decide what a turn of their own asks: `allow` or `deny`.',
    default: 'allow',
  },
  {
    name: 'ADMINS',
    description:
      'Who changes agents, permissions and pauses the bridge, separated by commas: user ids, user groups (`S…`). Refusals name them as the ones to ask.',
    default: null,
  },
  {
    name: 'VERBOSITY',
    description:
      'How much is shown of what the agent does: `quiet` (its answer and what went wrong), `compact` (one line while it works, figures at the end), `verbose` (a line for each tool, too). Never changes the answer.',
    default: 'compact',
  },
  {
    name: 'SHOW_REASONING',
    description:
      'Whether the model’s reasoning can be seen, `on` or `off`: counted in the last line and read under *Details*, never part of the answer.',
    default: 'off',
  },
  {
    name: 'MAX_MESSAGES',
    description:
      'How many Slack messages the text of one answer may take (1 to 99): what does not fit is uploaded as a Markdown file below it. Where the app may not upload files, all of it is posted.',
    default: '5',
  },
  {
    name: 'STORE',
    description: 'Where threads are kept: `sqlite://path`, or `memory://` to forget them at the end.',
    default: 'sqlite://./data/bridge.db',
  },
  {
    name: 'NOTIFY_AFTER',
    description:
      'After a turn that ran this long since its requester was last seen in the thread (`2m`, `30m`), a new short message mentions them, as edits notify nobody; `0s`: never.',
    default: '2m',
  },
  {
    name: 'RETENTION',
    description:
      'How long it is kept what the tools of a finished turn did, for its *Details* button (`12h`, `7d`); `0s`: not at all. Secrets of known shapes are taken out first.',
    default: '7d',
  },
  {
    name: 'STALE_AFTER',
    description:
      'How old a message may be and still run unasked (`15m`, `2h`), whether it came late or waited for an unreachable device. Older ones wait for *Run now* or *Drop*.',
    default: '15m',
  },
  {
    name: 'HISTORY',
    description:
      'Whether the bridge looks back for messages that Slack could not deliver: `full`; `limited` for apps that Slack allows one history call a minute; `off`.',
    default: 'full',
  },
  {
    name: 'CATCH_UP_MAX_AGE',
    description: 'How far it looks back at most; at most `24h`.',
    default: '24h',
  },
  {
    name: 'CATCH_UP_THREADS',
    description: 'Into how many threads it looks, the last used first.',
    default: '200',
  },
  {
    name: 'CATCH_UP_THREAD_AGE',
    description: 'It looks only into threads, and the channels of threads, that were used in this time.',
    default: '7d',
  },
  {
    name: 'APPROVAL_TIMEOUT',
    description: 'How long an approval or a question may wait (`30m`, `24h`, at most `30d`): then it is denied.',
    default: '24h',
  },
  {
    name: 'AUDIT_RETENTION',
    description: 'How long it is kept what became of each approval and question (`/agent audit`), at most `3650d`.',
    default: '90d',
  },
  {
    name: 'PORT',
    description:
      'Port of the HTTP server for events, `/healthz`, `/readyz` and `/metrics`. With Socket Mode the server only runs when this is set; with HTTP it is 3000 when this is not.',
    default: null,
  },
  {
    name: 'QUEUE_PER_THREAD',
    description: 'How many messages may wait in one thread; one more is refused, visibly.',
    default: '50',
  },
  {
    name: 'QUEUE_TOTAL',
    description: 'How many messages may wait in all threads together; one more is refused, visibly.',
    default: '1000',
  },
  {
    name: 'TURN_SILENCE',
    description:
      'How long a running turn may say nothing (`30m`, `2h`): then the thread says so and Letta is asked; after as long again the turn is stopped. Waiting for people or for the device does not count.',
    default: '30m',
  },
  {
    name: 'DRAIN_TIMEOUT',
    description: 'How long running turns may go on after SIGTERM before the bridge stops (`20s`, `5m`, `0s`).',
    default: '20s',
  },
  { name: 'LOG_LEVEL', description: '`debug`, `info`, `warn` or `error`.', default: 'info' },
] as const satisfies readonly Setting[];

export type SettingName = (typeof SETTINGS)[number]['name'];

/** The default as it would be written; empty where there is none. */
export function defaultOf(name: SettingName): string {
  return SETTINGS.find((setting) => setting.name === name)?.default ?? '';
}

/** README's table of settings, in Markdown. */
export function settingsTable(): string {
  const rows = SETTINGS.map(({ name, description, default: value }) => {
    return `| \`${name}\` | ${value === null ? '' : `\`${value}\``} | ${description} |`;
  });
  return ['| setting | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}
