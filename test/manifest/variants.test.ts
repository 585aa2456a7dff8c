import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { closedPolicy } from '../../src/bridge/access/policy.ts';
import { AGENT, createAppLink, type Manifest, manifestFor, parseManifest } from '../../src/manifest/manifest.ts';

const base = parseManifest(readFileSync('manifest.yml', 'utf8'));
const plain = { name: null, url: null, agent: false, prompts: [{ title: 'Build', message: 'Is the build green?' }] };

describe('a manifest variant', () => {
  it('without options is manifest.yml', () => {
    expect(manifestFor(base, plain)).toEqual(base);
  });

  it('with a name gives it to the app and its bot', () => {
    const named = manifestFor(base, { ...plain, name: 'Prod' });
    expect(named.display_information.name).toBe('Prod');
    expect(named.features.bot_user.display_name).toBe('Prod');
    expect(named.display_information.description).toBe(base.display_information.description);
  });

  it('for HTTP has the URL three times, and Socket Mode off', () => {
    const http = manifestFor(base, { ...plain, url: 'https://bridge.example.com/' });
    const address = 'https://bridge.example.com/slack/events';
    expect(http.settings.event_subscriptions.request_url).toBe(address);
    expect(http.settings.interactivity.request_url).toBe(address);
    expect(http.features.slash_commands.map((command) => command.url)).toEqual([address]);
    expect(http.settings.socket_mode_enabled).toBe(false);
  });

  it('keeps a path for a proxy in the URL', () => {
    const http = manifestFor(base, { ...plain, url: 'https://example.com/bots/bridge/slack/events' });
    expect(http.settings.interactivity.request_url).toBe('https://example.com/bots/bridge/slack/events');
  });

  it('for an agent adds what agents may have to manifest.yml', () => {
    const agent = manifestFor(base, { ...plain, agent: true });
    expect(agent.features.agent_view).toEqual({ ...AGENT.view, suggested_prompts: plain.prompts });
    expect(agent.oauth_config.scopes.bot).toEqual([...base.oauth_config.scopes.bot, ...AGENT.scopes].sort());
    const events = (manifest: Manifest) => manifest.settings.event_subscriptions.bot_events;
    expect(events(agent)).toEqual([...events(base), ...AGENT.events].sort());
    expect(AGENT.view.agent_description.length).toBeLessThanOrEqual(300);
  });

  it('for an agent asks only for what the code uses', () => {
    const code = globSync('src/slack/**/*.ts')
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    for (const event of AGENT.events) expect(code).toContain(`'${event}'`);
    // Of its methods only these need a scope of agents (docs.slack.dev/reference/methods).
    for (const method of ['agents.sessions.setStatus', 'assistant.threads.setSuggestedPrompts'])
      expect(code).toContain(`'${method}'`);
    expect(AGENT.scopes).toEqual(['assistant:write']);
  });

  it.each([
    ['a name over 35 characters', { name: 'x'.repeat(36) }, /35 characters/],
    ['an empty name', { name: ' ' }, /1 to 35/],
    ['an address without encryption', { url: 'http://bridge.example.com' }, /https/],
    ['an address that is none', { url: 'bridge.example.com' }, /https/],
    ['an address with a query', { url: 'https://example.com/?a=1' }, /host and path/],
  ])('refuses %s', (_, wish, message) => {
    expect(() => manifestFor(base, { ...plain, ...wish })).toThrow(message);
  });

  it('for other workspaces names where people install the app', () => {
    const { oauth_config, settings } = manifestFor(base, { ...plain, oauth: 'https://bridge.example.com', org: true });
    expect(oauth_config).toMatchObject({ redirect_urls: ['https://bridge.example.com/slack/oauth_redirect'] });
    expect(settings).toMatchObject({ org_deploy_enabled: true, socket_mode_enabled: true });
    expect(manifestFor(base, plain).oauth_config).not.toHaveProperty('redirect_urls');
    expect(() => manifestFor(base, { ...plain, oauth: 'http://bridge.example.com' })).toThrow(/https/);
  });

  it('fits whole into a link that creates the app', () => {
    const manifest = manifestFor(base, { ...plain, name: 'Prod & Co', url: 'https://bridge.example.com', agent: true });
    const link = new URL(createAppLink(manifest));
    expect(link.origin + link.pathname).toBe('https://api.slack.com/apps');
    expect(link.searchParams.get('new_app')).toBe('1');
    expect(JSON.parse(link.searchParams.get('manifest_json') ?? '')).toEqual(manifest);
    // Browsers and proxies take addresses of 8,000 characters.
    expect(link.href.length).toBeLessThan(8_000);
  });
});

describe('npm run manifest', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['src/manifest/main.ts', ...args], { encoding: 'utf8' });

  it('prints the app’s link as a comment, then YAML for Slack', () => {
    const { stdout, stderr, status } = run(
      '--name',
      'Prod',
      '--url',
      'https://bridge.example.com',
      '--http',
      '--agent',
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { prompts } = closedPolicy;
    const wanted = manifestFor(base, { name: 'Prod', url: 'https://bridge.example.com', agent: true, prompts });
    expect(parse(stdout)).toEqual(wanted);
    expect(stdout.split('\n')[0]).toBe(`# Create the app: ${createAppLink(wanted)}`);
  });

  it('for an agent has the prompts of the policy file', () => {
    const { stdout, status } = run('--agent', '--policy', 'policy.example.yml');
    expect(status).toBe(0);
    expect(parse(stdout).features.agent_view.suggested_prompts[0].title).toBe('Nightly build');
    expect(run('--agent', '--policy', 'missing.yml').stderr).toContain('missing.yml');
  });

  it('with wrong options says so, and shows the usage', () => {
    const { stdout, stderr, status } = run('--http');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('--http needs --url');
    expect(stderr).toContain('--agent');
  });
});
