import { CAUSES } from '../bridge/words/causes.ts';

/** What doctor checks, in this order. */
export const CHECKS = [
  'configuration',
  'clock',
  'bot token',
  'scopes',
  'app token',
  'socket',
  'installing',
  'channels',
  'events',
  'letta',
  'agent',
  'permissions',
  'store',
] as const;

export type CheckName = (typeof CHECKS)[number];

interface Trouble {
  check: CheckName;
  /** `warn`: the bridge works, but somebody should know. */
  level: 'fail' | 'warn';
  /** `{name}` is replaced by a value that doctor found. */
  says: string;
  fix: string;
}

/** All troubles that doctor can find. Tests hold the table in docs/troubles.md to this list and cover each entry. */
export const TROUBLES = {
  setting: { check: 'configuration', level: 'fail', says: '{setting} {problem}', fix: '{fix}' },
  clock_off: {
    check: 'clock',
    level: 'fail',
    says: 'The clock of this machine differs from Slack’s by {seconds} s',
    fix: 'Turn on time synchronisation (timedatectl set-ntp true): signatures and the age of messages depend on the clock.',
  },
  slack_unreachable: {
    check: 'bot token',
    level: 'fail',
    says: 'This machine cannot reach Slack ({error})',
    fix: 'Allow https:// connections from this machine to {host}; behind a proxy, see Node’s NODE_USE_ENV_PROXY.',
  },
  bot_token_refused: {
    check: 'bot token',
    level: 'fail',
    says: 'Slack refuses SLACK_BOT_TOKEN ({error})',
    fix: 'Copy the Bot User OAuth Token (xoxb-…) again: api.slack.com/apps, your app, OAuth & Permissions. If it shows none, click Install to Workspace first.',
  },
  not_a_bot: {
    check: 'bot token',
    level: 'fail',
    says: 'SLACK_BOT_TOKEN does not belong to a bot',
    fix: 'Add a bot user (App Home), click Reinstall to Workspace, and copy the Bot User OAuth Token.',
  },
  scopes_missing: {
    check: 'scopes',
    level: 'fail',
    says: 'The bot token lacks {scopes}',
    fix: 'Add them under OAuth & Permissions, Bot Token Scopes (or paste manifest.yml under App Manifest), then click Reinstall to Workspace.',
  },
  threads_unread: {
    check: 'scopes',
    level: 'warn',
    says: 'Without {scopes} the agent does not see threads and missed messages there',
    fix: 'Add it under OAuth & Permissions, Bot Token Scopes, then click Reinstall to Workspace; or set context: off in the policy file.',
  },
  scopes_wanted: {
    check: 'scopes',
    level: 'warn',
    says: 'The bot token lacks {scopes}: {without}',
    fix: 'Add it under OAuth & Permissions, Bot Token Scopes (or paste manifest.yml under App Manifest), then click Reinstall to Workspace; or remove it from the policy file.',
  },
  tools_limited: {
    check: 'scopes',
    level: 'warn',
    says: 'Without {scopes} these tools of the agent do not work: {tools}',
    fix: 'Add it under OAuth & Permissions, Bot Token Scopes, then click Reinstall to Workspace; or leave it: the agent is told that it cannot use them.',
  },
  scopes_extra: {
    check: 'scopes',
    level: 'warn',
    says: 'The bot token has scopes that the bridge does not use: {scopes}',
    fix: 'Remove them under OAuth & Permissions, then click Reinstall to Workspace.',
  },
  app_token_refused: {
    check: 'app token',
    level: 'fail',
    says: 'Slack refuses SLACK_APP_TOKEN ({error})',
    fix: 'Create an app-level token with connections:write: api.slack.com/apps, your app, Basic Information, App-Level Tokens.',
  },
  other_app: {
    check: 'app token',
    level: 'fail',
    says: 'SLACK_APP_TOKEN belongs to the app {app}, SLACK_BOT_TOKEN to the app {bot}',
    fix: 'Take both tokens from the same app.',
  },
  socket_closed: {
    check: 'socket',
    level: 'fail',
    says: 'Socket Mode does not connect',
    fix: 'Turn on Socket Mode (api.slack.com/apps, your app, Socket Mode), and allow wss:// connections from this machine to Slack.',
  },
  process_unconnected: {
    check: 'socket',
    level: 'warn',
    says: 'No connection to Slack: {process}',
    fix: 'Search its log for "Slack socket", and allow wss:// connections from its machine.',
  },
  foreign_connections: {
    check: 'socket',
    level: 'warn',
    says: '{count} other connection(s) use this app token',
    fix: 'Stop the other bridge, or give it its own app: Slack sends each message to only one of them.',
  },
  oauth_client: {
    check: 'installing',
    level: 'fail',
    says: 'Slack does not know the app by SLACK_CLIENT_ID and SLACK_CLIENT_SECRET ({error})',
    fix: 'Copy both again: api.slack.com/apps, your app, Basic Information, App Credentials.',
  },
  oauth_unknown: {
    check: 'installing',
    level: 'warn',
    says: 'Slack did not say whether it knows the app by SLACK_CLIENT_ID and SLACK_CLIENT_SECRET',
    fix: 'Run doctor again in a minute.',
  },
  install_page: {
    check: 'installing',
    level: 'warn',
    says: 'The page on which people install the app does not answer at {page} ({status})',
    fix: 'Start the bridge, and let your proxy pass /slack/install and /slack/oauth_redirect on to its PORT; or correct SLACK_REDIRECT_URL. From this machine the public address may be out of reach.',
  },
  old_key: {
    check: 'installing',
    level: 'warn',
    says: 'ENCRYPTION_KEY_OLD is set',
    fix: 'Remove it once the log says that every installation is sealed with ENCRYPTION_KEY.',
  },
  channel_unknown: {
    check: 'channels',
    level: 'fail',
    says: 'The bot cannot find the channel {channel}',
    fix: 'If the channel is private, write /invite @{bot} in it; else correct the id.',
  },
  not_in_channel: {
    check: 'channels',
    level: 'fail',
    says: 'The bot is not in #{name} ({channel})',
    fix: 'Write /invite @{bot} in #{name}.',
  },
  channel_archived: {
    check: 'channels',
    level: 'warn',
    says: '#{name} ({channel}) is archived',
    fix: 'Unarchive it, or remove it from the settings.',
  },
  not_tried: {
    check: 'events',
    level: 'warn',
    says: 'Events and buttons were not tested',
    fix: 'Run doctor with --channel and the name or id of a channel the bot is in.',
  },
  test_channel_unknown: {
    check: 'events',
    level: 'fail',
    says: 'The bot cannot find the channel {channel} for the self-test',
    fix: 'If the channel is private, write /invite @{bot} in it; else correct the name after --channel.',
  },
  channels_unlisted: {
    check: 'events',
    level: 'fail',
    says: 'Slack does not list its channels, so {channel} was not found ({error})',
    fix: 'Run doctor with --channel and the channel’s id (channel details, at the bottom).',
  },
  not_tried_shared: {
    check: 'events',
    level: 'warn',
    says: 'Events and buttons were not tested, because {count} running process(es) receive them',
    fix: 'Write to the bot in Slack, or stop all processes and run doctor with --channel.',
  },
  bridge_unreachable: {
    check: 'events',
    level: 'fail',
    says: 'A running bridge uses this store ({holder}), but it does not answer doctor',
    fix: 'Run doctor on the same machine as the same user; in a container: docker compose exec bridge letta-slack doctor.',
  },
  post_refused: {
    check: 'events',
    level: 'fail',
    says: 'The bot could not post the self-test in {channel} ({error})',
    fix: 'Write /invite @{bot} in that channel, and run doctor again.',
  },
  no_event: {
    check: 'events',
    level: 'fail',
    says: 'Slack did not send the bot’s own message back as an event',
    fix: 'Subscribe to message.channels, message.groups, message.im and message.mpim (Event Subscriptions, bot events), then click Reinstall to Workspace. Over HTTP, the Request URL must lead to /slack/events on this bridge.',
  },
  no_click: {
    check: 'events',
    level: 'warn',
    says: 'No click on the self-test’s button arrived',
    fix: 'If someone did click, turn on Interactivity & Shortcuts; over HTTP, its Request URL must lead to /slack/events on this bridge.',
  },
  letta_unreachable: {
    check: 'letta',
    level: 'fail',
    ...CAUSES.letta_away.operator,
  },
  letta_unauthorized: {
    check: 'letta',
    level: 'fail',
    ...CAUSES.letta_key.operator,
  },
  no_device: {
    check: 'letta',
    level: 'fail',
    ...CAUSES.no_device.operator,
  },
  no_dialled_device: {
    check: 'letta',
    level: 'fail',
    says: 'The {wanted} has not dialled in ({known})',
    fix: 'Run the command above on it.',
  },
  device_unknown: {
    check: 'letta',
    level: 'fail',
    says: 'Letta has no device LETTA_ENVIRONMENT={device}; it has: {known}',
    fix: 'Set LETTA_ENVIRONMENT to one of these.',
  },
  device_offline: {
    check: 'letta',
    level: 'fail',
    ...CAUSES.device_offline.operator,
  },
  several_devices: {
    check: 'letta',
    level: 'fail',
    says: 'Several Letta devices are online: {online}',
    fix: 'Set LETTA_ENVIRONMENT to the id of one of them.',
  },
  version_old: {
    check: 'letta',
    level: 'warn',
    says: 'Letta Code {version} is older than the version the bridge was tested with ({tested})',
    fix: 'Run npm install -g @letta-ai/letta-code on {device}, then start letta server again.',
  },
  version_new: {
    check: 'letta',
    level: 'warn',
    says: 'Letta Code {version} is newer than the version the bridge was tested with ({tested})',
    fix: 'Do nothing while it works; if it does not, update the bridge.',
  },
  agent_unknown: {
    check: 'agent',
    level: 'fail',
    says: 'Letta has no agent {agent}',
    fix: 'Set LETTA_AGENT_ID to one of these: {agents}.',
  },
  agent_gone: {
    check: 'agent',
    level: 'warn',
    ...CAUSES.agent_gone.operator,
  },
  bound_agent_unknown: {
    check: 'agent',
    level: 'fail',
    says: '{place} uses the agent {agent}, which Letta does not have',
    fix: 'Correct it in policy.yml, or write !agent and another id (or !agent default) in that place.',
  },
  several_agents: {
    check: 'agent',
    level: 'fail',
    says: 'Letta has several agents: {agents}',
    fix: 'Set LETTA_AGENT_ID to the id of one of them.',
  },
  no_agent: {
    check: 'agent',
    level: 'fail',
    says: 'Letta has no agent yet',
    fix: 'Create one on app.letta.com, and set LETTA_AGENT_ID to its id.',
  },
  unrestricted: {
    check: 'permissions',
    level: 'warn',
    says: 'PERMISSIONS=unrestricted: the agent runs whatever it wants without asking anyone',
    fix: 'Set PERMISSIONS=guarded or strict, unless you can afford to lose the agent’s machine.',
  },
  store_unusable: {
    check: 'store',
    level: 'fail',
    says: 'The bridge cannot use the store {path} ({error})',
    fix: 'Let {user} read and write the file and its folder, or set STORE to another place.',
  },
  store_foreign: {
    check: 'store',
    level: 'fail',
    says: '{path} is the database of another program',
    fix: 'Set STORE to another file.',
  },
  store_newer: {
    check: 'store',
    level: 'fail',
    says: '{path} was written by a newer bridge (layout {layout})',
    fix: 'Update this bridge, or set STORE to another file.',
  },
  store_owner: {
    check: 'store',
    level: 'warn',
    says: '{path} belongs to the user {owner}, and doctor runs as {user}',
    fix: 'Run the bridge and doctor as the same user, or the next start may fail to write the file.',
  },
  store_loose: {
    check: 'store',
    level: 'warn',
    says: 'Other users of this machine can read {path} (mode {mode}), which contains people’s messages',
    fix: 'Run chmod 600 {files}, or restart the bridge: it does the same.',
  },
  store_gone: {
    check: 'store',
    level: 'fail',
    says: 'A running bridge uses {path} ({holder}), but the file is gone',
    fix: 'Put the file back, or restart the bridge: until then it accepts no messages.',
  },
  store_failing: {
    check: 'store',
    level: 'fail',
    says: 'The running bridge ({holder}) cannot write its store: {state}',
    fix: 'If its file was deleted, moved or replaced, put it back or restart the bridge; else check the disk (df -h).',
  },
  store_database: {
    check: 'store',
    level: 'fail',
    says: 'The bridge cannot use its store on Postgres ({place}): {why}',
    fix: 'Start the database, or correct STORE; docs/operating.md tells what the database user needs.',
  },
  store_unsafe: {
    check: 'store',
    level: 'fail',
    says: 'The database {place} has fsync off, so a power cut loses messages that Slack will not send again',
    fix: 'Set fsync = on in postgresql.conf and restart the database.',
  },
  store_clock: {
    check: 'store',
    level: 'warn',
    says: 'The clock of the database {place} is {seconds} s ahead of this machine’s',
    fix: 'Turn on time synchronisation on both (timedatectl set-ntp true).',
  },
  store_deliveries: {
    check: 'store',
    level: 'warn',
    says: '{count} deliveries of Slack could not be handled and are kept for a day in bridge_inbound ({place})',
    fix: 'Search the log for "gave up a delivery": it says why.',
  },
  store_unserved: {
    check: 'store',
    level: 'warn',
    says: 'No process serves {workspaces}, although something is under way there',
    fix: 'Run doctor again in half a minute. If it still says so, search the log for "could not open a workspace".',
  },
  store_memory: {
    check: 'store',
    level: 'warn',
    says: 'STORE=memory:// forgets every thread when the bridge stops',
    fix: 'Set STORE=sqlite://./data/bridge.db.',
  },
} as const satisfies Record<string, Trouble>;

export type TroubleName = keyof typeof TROUBLES;

/** The table of docs/troubles.md, in Markdown. */
export function troublesTable(): string {
  const cell = (text: string) => text.replaceAll(/\{(\w+)\}/g, '…').replaceAll('|', '\\|');
  const rows = Object.entries(TROUBLES)
    .filter(([name]) => name !== 'setting')
    .map(
      ([, { level, says, fix }]: [string, Trouble]) =>
        `| ${level === 'fail' ? '✗' : '!'} ${cell(says)} | ${cell(fix)} |`,
    );
  return ['| doctor says | do this |', '| --- | --- |', ...rows].join('\n');
}
