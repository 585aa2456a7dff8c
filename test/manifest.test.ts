import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ASK_SHORTCUT, FORK_SHORTCUT } from '../src/slack/render/action-ids.ts';

const manifest = z
  .object({
    display_information: z.object({ name: z.string().max(35), description: z.string().max(140) }),
    features: z.object({
      app_home: z.object({
        home_tab_enabled: z.literal(true),
        messages_tab_enabled: z.literal(true),
        messages_tab_read_only_enabled: z.literal(false),
      }),
      shortcuts: z
        .array(
          z.object({
            name: z.string().max(24),
            type: z.literal('message'),
            callback_id: z.string(),
            description: z.string().max(150),
          }),
        )
        .max(10),
      slash_commands: z.array(z.object({ command: z.string().max(32), should_escape: z.boolean() })),
    }),
    oauth_config: z.object({ scopes: z.object({ bot: z.array(z.string()), bot_optional: z.array(z.string()) }) }),
    settings: z.object({
      event_subscriptions: z.object({ bot_events: z.array(z.string()) }),
      interactivity: z.object({ is_enabled: z.boolean() }),
      socket_mode_enabled: z.boolean(),
    }),
  })
  .parse(parse(readFileSync('manifest.yml', 'utf8')));

const READ = ['channels:read', 'groups:read', 'im:read', 'mpim:read'];
const HISTORY = ['channels:history', 'groups:history', 'im:history', 'mpim:history'];

/** What each Web API method needs of a bot token (docs.slack.dev/reference/methods). */
const SCOPES_OF_METHODS: Record<string, string[]> = {
  'assistant.threads.setStatus': ['chat:write'],
  // Called only by apps declared as agents, whose manifest adds the scope it needs.
  'assistant.threads.setSuggestedPrompts': [],
  'apps.connections.open': [],
  'auth.test': [],
  'bots.info': ['users:read'],
  'chat.appendStream': ['chat:write'],
  'chat.delete': ['chat:write'],
  'chat.getPermalink': [],
  'chat.postEphemeral': ['chat:write'],
  'chat.postMessage': ['chat:write'],
  'chat.startStream': ['chat:write'],
  'chat.stopStream': ['chat:write'],
  'chat.update': ['chat:write'],
  'conversations.history': HISTORY,
  'conversations.info': READ,
  'conversations.list': ['channels:read', 'groups:read'],
  'conversations.members': READ,
  'conversations.open': ['im:write', 'mpim:write'],
  'conversations.replies': HISTORY,
  'apps.uninstall': [],
  'auth.teams.list': [],
  'files.completeUploadExternal': ['files:write'],
  'files.getUploadURLExternal': ['files:write'],
  'files.info': ['files:read'],
  'reactions.add': ['reactions:write'],
  'reactions.remove': ['reactions:write'],
  'usergroups.list': ['usergroups:read'],
  'usergroups.users.list': ['usergroups:read'],
  'users.info': ['users:read'],
  'users.list': ['users:read'],
  'users.lookupByEmail': ['users:read.email'],
  'views.open': [],
  'views.publish': [],
  'views.push': [],
  'views.update': [],
};

/** What each subscribed event needs (docs.slack.dev/reference/events), and how the code names it. */
const EVENTS: Record<string, { scopes: string[]; type: string }> = {
  app_uninstalled: { scopes: [], type: 'app_uninstalled' },
  app_home_opened: { scopes: [], type: 'app_home_opened' },
  app_mention: { scopes: ['app_mentions:read'], type: 'app_mention' },
  channel_id_changed: { scopes: ['channels:read', 'groups:read'], type: 'channel_id_changed' },
  member_joined_channel: { scopes: ['channels:read', 'groups:read'], type: 'member_joined_channel' },
  'message.channels': { scopes: ['channels:history'], type: 'message' },
  'message.groups': { scopes: ['groups:history'], type: 'message' },
  'message.im': { scopes: ['im:history'], type: 'message' },
  'message.mpim': { scopes: ['mpim:history'], type: 'message' },
  reaction_added: { scopes: ['reactions:read'], type: 'reaction_added' },
  tokens_revoked: { scopes: [], type: 'tokens_revoked' },
  reaction_removed: { scopes: ['reactions:read'], type: 'reaction_removed' },
};

/** They classify methods, called or not. */
const TABLES_OF_METHODS = ['api/web-api.ts', 'outbox/budget.ts'];

function slackSources(): { path: string; text: string }[] {
  return globSync('**/*.ts', { cwd: 'src/slack' }).map((path) => ({
    path,
    text: readFileSync(join('src/slack', path), 'utf8'),
  }));
}

const METHOD =
  /'((?:api|apps|assistant|auth|bookmarks|bots|calls|canvases|chat|conversations|dnd|emoji|files|pins|reactions|reminders|search|team|usergroups|users|views)(?:\.[a-zA-Z]+)+)'/g;

function usedMethods(): string[] {
  const found = slackSources()
    .filter(({ path }) => !TABLES_OF_METHODS.includes(path))
    .flatMap(({ text }) => [...text.matchAll(METHOD)].map((match) => match[1] ?? ''));
  return [...new Set(found)].sort();
}

describe('manifest.yml', () => {
  const granted = manifest.oauth_config.scopes.bot;
  const events = manifest.settings.event_subscriptions.bot_events;

  it('is checked against the known methods and events', () => {
    expect(usedMethods()).toContain('chat.postMessage');
    expect(usedMethods().filter((method) => !(method in SCOPES_OF_METHODS))).toEqual([]);
    expect(events.filter((event) => !(event in EVENTS))).toEqual([]);
  });

  it('asks for exactly the scopes that the code needs', () => {
    const needed = new Set([
      ...usedMethods().flatMap((method) => SCOPES_OF_METHODS[method] ?? []),
      ...events.flatMap((event) => EVENTS[event]?.scopes ?? []),
      ...(manifest.features.slash_commands.length > 0 ? ['commands'] : []),
    ]);
    const { bot_optional: optional } = manifest.oauth_config.scopes;
    expect([...granted, ...optional].sort()).toEqual([...needed].sort());
    // Whoever installs the app may leave these out.
    expect(optional).toEqual(['reactions:read', 'reactions:write', 'users:read.email']);
    expect(granted).toEqual([...new Set(granted)].sort());
  });

  it('subscribes to exactly the events that the code handles', () => {
    const code = slackSources().map(({ text }) => text);
    const handles = (type: string) => code.some((text) => text.includes(`'${type}'`));
    expect(events.filter((event) => !handles(EVENTS[event]?.type ?? event))).toEqual([]);
    expect(
      Object.keys(EVENTS).filter((event) => handles(EVENTS[event]?.type ?? '') && !events.includes(event)),
    ).toEqual([]);
  });

  it('has the message shortcuts that the code handles', () => {
    expect(manifest.features.shortcuts.map((shortcut) => shortcut.callback_id)).toEqual([ASK_SHORTCUT, FORK_SHORTCUT]);
    expect(granted).toContain('commands');
  });

  it('enables interactivity, Socket Mode and the /agent command', () => {
    expect(manifest.settings.interactivity.is_enabled).toBe(true);
    expect(manifest.settings.socket_mode_enabled).toBe(true);
    expect(manifest.features.slash_commands).toMatchObject([{ command: '/agent', should_escape: true }]);
  });
});
