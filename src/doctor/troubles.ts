/** What doctor looks at, in this order. */
export const CHECKS = [
  'configuration',
  'clock',
  'bot token',
  'scopes',
  'app token',
  'socket',
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
  /** `{name}`: filled in with what was found. */
  says: string;
  fix: string;
}

/** Everything that doctor can find wrong, written once: README's troubleshooting is held to it, and each has a test. */
export const TROUBLES = {
  setting: { check: 'configuration', level: 'fail', says: '{setting} {problem}', fix: '{fix}' },
  clock_off: {
    check: 'clock',
    level: 'fail',
    says: 'The clock of this machine is {seconds} s away from Slack’s',
    fix: 'Let it be synchronised (timedatectl set-ntp true): signatures and the age of messages depend on it.',
  },
  slack_unreachable: {
    check: 'bot token',
    level: 'fail',
    says: 'Slack can not be reached ({error})',
    fix: 'Let this machine open https:// connections to {host}; behind a proxy see NODE_USE_ENV_PROXY of Node.',
  },
  bot_token_refused: {
    check: 'bot token',
    level: 'fail',
    says: 'Slack refuses SLACK_BOT_TOKEN ({error})',
    fix: 'Copy the Bot User OAuth Token (xoxb-…) again: api.slack.com/apps, your app, OAuth & Permissions. If there is none, Install to Workspace first.',
  },
  not_a_bot: {
    check: 'bot token',
    level: 'fail',
    says: 'SLACK_BOT_TOKEN is no bot’s',
    fix: 'Add a bot user (App Home), Reinstall to Workspace, and copy the Bot User OAuth Token.',
  },
  scopes_missing: {
    check: 'scopes',
    level: 'fail',
    says: 'The bot token lacks {scopes}',
    fix: 'Add them under OAuth & Permissions, Bot Token Scopes (or paste manifest.yml under App Manifest), then Reinstall to Workspace.',
  },
  scopes_extra: {
    check: 'scopes',
    level: 'warn',
    says: 'The bot token has scopes that the bridge does not use: {scopes}',
    fix: 'Remove them under OAuth & Permissions, then Reinstall to Workspace.',
  },
  app_token_refused: {
    check: 'app token',
    level: 'fail',
    says: 'Slack refuses SLACK_APP_TOKEN ({error})',
    fix: 'Make an app-level token with connections:write: api.slack.com/apps, your app, Basic Information, App-Level Tokens.',
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
    fix: 'Switch Socket Mode on (api.slack.com/apps, your app, Socket Mode), and let this machine open wss:// connections to Slack.',
  },
  foreign_connections: {
    check: 'socket',
    level: 'warn',
    says: '{count} other connection(s) use this app token',
    fix: 'Stop the other bridge, or give it an app of its own: Slack deals each message to only one of them.',
  },
  channel_unknown: {
    check: 'channels',
    level: 'fail',
    says: 'There is no channel {channel} for the bot',
    fix: 'Write /invite @{bot} in it if it is private; else correct the id.',
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
    fix: 'Unarchive it, or take it out of the settings.',
  },
  not_tried: {
    check: 'events',
    level: 'warn',
    says: 'Events and buttons were not tried',
    fix: 'Run doctor with --channel and the id of a channel that the bot is in.',
  },
  bridge_unreachable: {
    check: 'events',
    level: 'fail',
    says: 'A bridge runs on this store ({holder}), but does not answer doctor',
    fix: 'Run doctor on the same machine and as the same user; in a container: docker compose exec bridge letta-slack doctor.',
  },
  post_refused: {
    check: 'events',
    level: 'fail',
    says: 'The self-test could not be posted in {channel} ({error})',
    fix: 'Write /invite @{bot} in that channel, and run doctor again.',
  },
  no_event: {
    check: 'events',
    level: 'fail',
    says: 'The bot’s own message did not come back as an event',
    fix: 'Subscribe to message.channels, message.groups, message.im and message.mpim (Event Subscriptions, bot events), then Reinstall to Workspace. Over HTTP the Request URL must lead to /slack/events here.',
  },
  no_click: {
    check: 'events',
    level: 'warn',
    says: 'No click on the self-test’s button came',
    fix: 'If somebody did click: switch on Interactivity & Shortcuts; over HTTP its Request URL must lead to /slack/events here.',
  },
  letta_unreachable: {
    check: 'letta',
    level: 'fail',
    says: 'Letta can not be reached at {host} ({error})',
    fix: 'Start it, or correct {setting}; for a server of your own: letta server --backend local --listen ws://127.0.0.1:4500',
  },
  letta_unauthorized: {
    check: 'letta',
    level: 'fail',
    says: 'Letta refuses {setting}',
    fix: 'Make a new key (cloud: app.letta.com, API keys; App Server: the one of --ws-token-file), and put it in.',
  },
  no_device: {
    check: 'letta',
    level: 'fail',
    says: 'No Letta device is online ({known})',
    fix: 'Run letta server on the machine where the agent shall work.',
  },
  device_unknown: {
    check: 'letta',
    level: 'fail',
    says: 'LETTA_ENVIRONMENT={device} is none of Letta’s devices: {known}',
    fix: 'Set it to one of them.',
  },
  device_offline: {
    check: 'letta',
    level: 'fail',
    says: 'Letta device {device} is offline',
    fix: 'Run letta server on it, or set LETTA_ENVIRONMENT to another one: {online}.',
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
    says: 'Letta Code {version} is older than what the bridge was tested with ({tested})',
    fix: 'Run npm install -g @letta-ai/letta-code on {device}, then start letta server again.',
  },
  version_new: {
    check: 'letta',
    level: 'warn',
    says: 'Letta Code {version} is newer than what the bridge was tested with ({tested})',
    fix: 'Nothing, while it works; else look for a newer bridge.',
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
    says: 'The agent that the bridge had chosen ({agent}) does not exist any more',
    fix: 'Nothing, if that was meant: the next new thread chooses again, and old threads offer to start a new conversation. Else set LETTA_AGENT_ID.',
  },
  bound_agent_unknown: {
    check: 'agent',
    level: 'fail',
    says: '{place} is bound to the agent {agent}, which Letta does not have',
    fix: 'Correct it in policy.yml; or write agent and another id, or agent default, as a command in that place.',
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
    fix: 'Make one on app.letta.com, and set LETTA_AGENT_ID to its id.',
  },
  unrestricted: {
    check: 'permissions',
    level: 'warn',
    says: 'PERMISSIONS=unrestricted: whatever the agent wants to run runs, and nobody is asked',
    fix: 'Set PERMISSIONS=standard or strict, unless the agent’s machine may be lost.',
  },
  store_unusable: {
    check: 'store',
    level: 'fail',
    says: 'The store {path} can not be used ({error})',
    fix: 'Let {user} read and write it and its folder, or set STORE to another place.',
  },
  store_foreign: {
    check: 'store',
    level: 'fail',
    says: '{path} is a database of another program',
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
    fix: 'Run bridge and doctor as the same user, or the next start may not be able to write it.',
  },
  store_loose: {
    check: 'store',
    level: 'warn',
    says: 'Other users of this machine can open {path} (mode {mode}), which holds what people wrote',
    fix: 'Run chmod 600 {files}; the next start of the bridge does it, too.',
  },
  store_gone: {
    check: 'store',
    level: 'fail',
    says: 'A bridge runs on {path} ({holder}), but the file is not there',
    fix: 'Put it back, or start the bridge again: it takes no message in until then.',
  },
  store_failing: {
    check: 'store',
    level: 'fail',
    says: 'The running bridge ({holder}) can not write its store: {state}',
    fix: 'Where its file was deleted, moved or replaced, put it back or start the bridge again; else see to the disk (df -h).',
  },
  store_memory: {
    check: 'store',
    level: 'warn',
    says: 'STORE=memory:// forgets every thread when the bridge ends',
    fix: 'Set STORE=sqlite://./data/bridge.db',
  },
} as const satisfies Record<string, Trouble>;

export type TroubleName = keyof typeof TROUBLES;

/** README's troubleshooting table, in Markdown. */
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
