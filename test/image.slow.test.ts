import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { timeUpTo } from '../src/config/checks.ts';
import { defaultOf } from '../src/config/settings.ts';
import { TESTED_VERSION } from '../src/letta/inspect.ts';
import { execForm, isInContext, lastOf, parseDockerfile } from './image/dockerfile.ts';

const stages = parseDockerfile(readFileSync('Dockerfile', 'utf8'));
const image = stages.at(-1);
const ignore = readFileSync('.dockerignore', 'utf8');

describe('the image', () => {
  it('is the last stage, on Node 24 slim like every other', () => {
    expect(image?.name).toBe('image');
    expect(stages.map(({ base }) => base)).toEqual(stages.map(() => 'node:24-slim'));
  });

  it('copies only files that exist in the build context', () => {
    for (const { instructions } of stages) {
      for (const { name, text } of instructions) {
        if (name !== 'COPY' || text.startsWith('--from=')) continue;
        for (const path of text.split(/\s+/).slice(0, -1)) {
          expect(existsSync(path), path).toBe(true);
          expect(isInContext(ignore, path), path).toBe(true);
        }
      }
    }
    expect(isInContext(ignore, '.env')).toBe(false);
    expect(isInContext(ignore, 'policy.yml')).toBe(false);
    expect(isInContext(ignore, 'data/bridge.db')).toBe(false);
  });

  it('has no development packages, and its code from the build', () => {
    const copies = image?.instructions.filter(({ name }) => name === 'COPY').map(({ text }) => text) ?? [];
    expect(copies.filter((text) => text.includes('node_modules'))).toEqual([
      '--from=dependencies /app/node_modules ./node_modules',
    ]);
    const installs = stages
      .find(({ name }) => name === 'dependencies')
      ?.instructions.filter(({ name }) => name === 'RUN');
    expect(installs?.map(({ text }) => text)).toEqual(['npm ci --omit=dev --no-audit --no-fund']);
    // That stage does not see the workspaces, so nothing of them may be needed at run time.
    for (const workspace of ['sandbox', 'tools/node']) {
      expect(JSON.parse(readFileSync(`${workspace}/package.json`, 'utf8'))).not.toHaveProperty('dependencies');
    }
    expect(copies.some((text) => /(^|\s)(src|test|bench)(\s|$)/.test(text))).toBe(false);
  });

  it('runs as a user without rights, who writes only to /app/data', () => {
    const names = image?.instructions.map(({ name }) => name) ?? [];
    expect(lastOf(image, 'USER')).toBe('node');
    expect(names.slice(names.indexOf('USER')).filter((name) => ['RUN', 'COPY', 'ADD'].includes(name))).toEqual([]);
    expect(lastOf(image, 'VOLUME')).toBe('/app/data');
    expect(defaultOf('STORE')).toBe('sqlite://./data/bridge.db');
    expect(lastOf(image, 'WORKDIR')).toBe('/app');
  });

  it('starts node directly, so that SIGTERM reaches it', () => {
    expect(execForm(lastOf(image, 'ENTRYPOINT'))).toEqual([
      'node',
      '--max-semi-space-size=64',
      '/app/bin/letta-slack.cjs',
    ]);
    expect(execForm(lastOf(image, 'CMD'))).toEqual(['start']);
    expect(lastOf(image, 'STOPSIGNAL')).toBe('SIGTERM');
  });

  it('has a health check on the bridge’s own port', () => {
    const check = lastOf(image, 'HEALTHCHECK') ?? '';
    expect(check).toContain('/healthz');
    expect(execForm(check.slice(check.indexOf('CMD ') + 4))[0]).toBe('node');
    expect(lastOf(image, 'ENV')).toContain('PORT=3000');
  });
});

describe('compose.yaml', () => {
  const { services } = parse(readFileSync('compose.yaml', 'utf8')) as {
    services: Record<string, Record<string, unknown>>;
  };
  const { bridge, letta } = services;
  const ms = (time: unknown) => timeUpTo('1d').parse(String(time));

  it('gives running turns longer to end than DRAIN_TIMEOUT', () => {
    expect(ms(bridge?.stop_grace_period)).toBeGreaterThan(ms(defaultOf('DRAIN_TIMEOUT')) + 10_000);
  });

  it('lets the bridge write only its data, and listen only locally', () => {
    expect(bridge?.read_only).toBe(true);
    expect(bridge?.volumes).toContain('data:/app/data');
    expect(bridge?.ports).toEqual(['127.0.0.1:3000:3000']);
    expect(bridge?.cap_drop).toEqual(['ALL']);
  });

  it('puts the optional Letta server on the bridge’s loopback', () => {
    expect(letta?.profiles).toEqual(['letta']);
    expect(letta?.network_mode).toBe('service:bridge');
    const target = (letta?.build as { target?: string } | undefined)?.target;
    const stage = stages.find(({ name }) => name === target);
    expect(execForm(lastOf(stage, 'CMD'))).toContain('ws://127.0.0.1:4500');
    expect(stage?.instructions.some(({ text }) => text.includes(`@letta-ai/letta-code@${TESTED_VERSION}`))).toBe(true);
    expect(lastOf(stage, 'USER')).toBe('node');
  });
});
