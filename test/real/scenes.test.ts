import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { playScene } from '../../sandbox/player.ts';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { parseScene } from '../../sandbox/scene.ts';
import { type RealLetta, type Surface, startRealLetta } from '../support/letta/real-letta.ts';

const scenes = {
  'app-server': [
    'first-mention',
    'approvals',
    'write-diff',
    'question',
    'details',
    'long-turn',
    'stop',
    'two-threads',
    'queue',
    'direct-message',
    'long-answer',
    'errors',
    'commands',
    'modes',
    'pause',
  ],
  single: ['first-mention', 'approvals', 'question', 'stop', 'two-threads', 'modes'],
  pair: ['first-mention', 'approvals', 'write-diff', 'question', 'stop', 'queue'],
  listen: ['first-mention', 'approvals', 'write-diff', 'question', 'stop', 'two-threads', 'queue', 'modes', 'pause'],
} as const;

describe.each<Surface>(['app-server', 'single', 'pair', 'listen'])('the real Letta (%s)', (surface) => {
  let letta: RealLetta;
  let sandbox: Sandbox;
  const lines: string[] = [];

  beforeAll(async () => {
    letta = await startRealLetta(surface);
    const log = (line: string) => void lines.push(line);
    sandbox = await startSandbox({
      port: 0,
      limits: 'off',
      letta: surface,
      env: { ...letta.env, LOG_LEVEL: 'info' },
      log,
    });
  });

  afterAll(async () => {
    await sandbox?.close();
    await letta?.close();
  });

  it.each(scenes[surface].map((name) => ({ name })))('plays $name', async ({ name }) => {
    const file = new URL(`../../sandbox/scenes/${name}.yml`, import.meta.url);
    const played = await playScene(sandbox, parseScene(readFileSync(file, 'utf8')));
    const story = played.threads.map((thread) => thread.transcript).join('\n\n');
    expect(played.failures, `${story}\n${lines.slice(-60).join('')}`).toEqual([]);
  });
});
