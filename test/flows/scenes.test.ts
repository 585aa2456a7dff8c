import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { playScene } from '../../sandbox/player.ts';
import { type SandboxOptions, startSandbox } from '../../sandbox/sandbox.ts';
import { parseScene } from '../../sandbox/scene.ts';

const folder = new URL('../../sandbox/scenes/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yml'));

async function playFile(file: string, options: Pick<SandboxOptions, 'letta' | 'delivery'>) {
  const lines: string[] = [];
  const sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    env: {},
    pace: 2,
    log: (line) => void lines.push(line),
    ...options,
  });
  try {
    const scene = parseScene(readFileSync(new URL(file, folder), 'utf8'));
    const played = await playScene(sandbox, scene, { patience: 5 });
    const story = played.threads.map((thread) => thread.transcript).join('\n\n');
    expect(played.failures, `${story}\n${lines.join('')}`).toEqual([]);
    // Only people who take part are ever named to Slack, whatever people and the agent write.
    const pinged = played.threads.flatMap((thread) =>
      sandbox.slack.control.messages(thread.channel).flatMap((message) => (message.bot_id ? message.pings : [])),
    );
    const acting = scene.steps.flatMap((step) => ('as' in step ? [step.as] : []));
    expect(pinged.filter((id) => !acting.includes(id))).toEqual([]);
    const { ratelimited, statuses } = sandbox.slack.control.state();
    // What Slack refuses was ordered by the scene, if anything was.
    const ordered = scene.steps.flatMap((step) =>
      'slack' in step && step.slack.kind === 'ratelimited' ? [step.slack] : [],
    );
    const expected = Object.fromEntries(ordered.map(({ method, times }) => [method, times]));
    expect(ratelimited).toEqual(expected);
    expect(statuses).toEqual([]);
  } finally {
    await sandbox.close();
  }
}

describe.concurrent("the sandbox's scenes", () => {
  it.for(files)('%s plays over an App Server', async (file) => {
    await playFile(file, { letta: 'app-server' });
  });

  it.for(['first-mention.yml', 'approvals.yml', 'stop.yml', 'question.yml', 'send-now.yml'])(
    '%s plays over the hosted relay, on one socket and on two',
    async (file) => {
      await playFile(file, { letta: 'single' });
      await playFile(file, { letta: 'pair' });
    },
  );

  it('first-mention.yml plays with signed HTTP delivery', async () => {
    await playFile('first-mention.yml', { letta: 'app-server', delivery: 'http' });
  });
});
