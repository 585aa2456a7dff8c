import { parse, stringify } from 'yaml';
import { z } from 'zod';

/** The part of a Slack app manifest that the bridge reads or changes; everything else is passed on unchanged. */
const schema = z.looseObject({
  display_information: z.looseObject({ name: z.string() }),
  features: z.looseObject({
    bot_user: z.looseObject({ display_name: z.string() }),
    slash_commands: z.array(z.looseObject({ command: z.string() })),
  }),
  oauth_config: z.looseObject({
    scopes: z.looseObject({ bot: z.array(z.string()), bot_optional: z.array(z.string()).optional() }),
  }),
  settings: z.looseObject({
    event_subscriptions: z.looseObject({ bot_events: z.array(z.string()) }),
    interactivity: z.looseObject({ is_enabled: z.boolean() }),
    socket_mode_enabled: z.boolean(),
  }),
});

export type Manifest = z.infer<typeof schema>;

export interface ManifestWishes {
  /** The app's name, also the bot's; at most 35 characters. */
  name: string | null;
  /** The address at which Slack reaches the bridge over signed HTTP; `null`: Socket Mode. */
  url: string | null;
  /** The address at which people install the app by OAuth; left out: it stays in its own workspace. */
  oauth?: string | null;
  /** Lets organisations install the app as a whole. */
  org?: boolean;
  /** Declares the app as an agent: Slack's own status and stop button, but no guests (docs/slack.md, Agent apps). */
  agent: boolean;
  /** What an agent suggests to ask, at most four (docs/slack.md, Manifest keys). */
  prompts: readonly { title: string; message: string }[];
}

const NAME_MAX = 35;
/** The path on which the HTTP receiver listens. */
const EVENTS_PATH = '/slack/events';
/** The path to which Slack sends people back who install the app. */
const REDIRECT_PATH = '/slack/oauth_redirect';

/** What only an app declared as an agent has (docs/slack.md, Agent apps; Agent sessions). */
export const AGENT = {
  view: { agent_description: 'Works on tasks in threads of this workspace, and asks before risky steps.' },
  scopes: ['assistant:write'],
  events: ['agent_session_stopped'],
} as const;

/** @param text of manifest.yml. @throws when the bridge could not work with this manifest. */
export function parseManifest(text: string): Manifest {
  return schema.parse(parse(text));
}

/**
 * The manifest of one installation.
 * @throws Error with one line for people when a name or address is not valid.
 */
export function manifestFor(base: Manifest, wishes: ManifestWishes): Manifest {
  const { name, url, oauth = null, org = false, agent, prompts } = wishes;
  const { display_information, features, oauth_config, settings } = base;
  if (name !== null && (name.trim() === '' || [...name].length > NAME_MAX)) {
    throw new Error(`the name must have 1 to ${NAME_MAX} characters`);
  }
  const address = url === null ? null : addressOf(url, EVENTS_PATH);
  const redirect = oauth === null ? null : addressOf(oauth, REDIRECT_PATH);
  const { scopes } = oauth_config;
  const { event_subscriptions, interactivity } = settings;
  return {
    ...base,
    display_information: { ...display_information, ...(name !== null && { name }) },
    features: {
      ...features,
      bot_user: { ...features.bot_user, ...(name !== null && { display_name: name }) },
      ...(agent && {
        agent_view: { ...AGENT.view, ...(prompts.length > 0 && { suggested_prompts: prompts }) },
      }),
      slash_commands: features.slash_commands.map((command) => ({
        ...command,
        ...(address !== null && { url: address }),
      })),
    },
    oauth_config: {
      ...oauth_config,
      ...(redirect !== null && { redirect_urls: [redirect] }),
      scopes: { ...scopes, bot: agent ? [...scopes.bot, ...AGENT.scopes].sort() : scopes.bot },
    },
    settings: {
      ...settings,
      event_subscriptions: {
        ...(address !== null && { request_url: address }),
        ...event_subscriptions,
        bot_events: agent
          ? [...event_subscriptions.bot_events, ...AGENT.events].sort()
          : event_subscriptions.bot_events,
      },
      interactivity: { ...interactivity, ...(address !== null && { request_url: address }) },
      socket_mode_enabled: address === null,
      ...(org && { org_deploy_enabled: true }),
    },
  };
}

/** Slack calls only https addresses. An address without a path gets that of the bridge. */
function addressOf(url: string, usual: string): string {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 'https:') throw new Error('the address must begin with https://');
  if (parsed.username !== '' || parsed.search !== '' || parsed.hash !== '') {
    throw new Error('the address may contain only host and path');
  }
  const path = parsed.pathname.replace(/\/+$/, '');
  return `${parsed.origin}${path === '' ? usual : path}`;
}

/** The bot scopes that an installation asks for: all of the manifest, those that people may leave out, too. */
export function installScopes({ oauth_config }: Manifest, { isAgent }: { isAgent: boolean }): string[] {
  const { bot, bot_optional = [] } = oauth_config.scopes;
  return [...bot, ...bot_optional, ...(isAgent ? AGENT.scopes : [])].sort();
}

/** The manifest as YAML text. */
export function manifestYaml(manifest: Manifest): string {
  return stringify(manifest, { lineWidth: 0 });
}

/** Opens Slack's "create an app" with the manifest filled in (docs.slack.dev/app-manifests, sharing manifests). */
export function createAppLink(manifest: Manifest): string {
  return `https://api.slack.com/apps?new_app=1&manifest_json=${encodeURIComponent(JSON.stringify(manifest))}`;
}
