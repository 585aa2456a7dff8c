import { describe, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { SandboxTerminal } from '../../sandbox/terminal.ts';
import { until } from '../support/until.ts';

async function openTerminal({ onTestFinished }: TestContext) {
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', pace: 5, env: {}, log: () => {} });
  const printed: string[] = [];
  const terminal = new SandboxTerminal(sandbox, (text) => void printed.push(text));
  const looking = setInterval(() => terminal.look(), 50);
  onTestFinished(async () => {
    clearInterval(looking);
    await sandbox.close();
  });
  const output = () => printed.join('\n');
  const printedText = (text: string) => until(() => output().includes(text), output);
  return { sandbox, terminal, printed, output, printedText };
}

describe.concurrent('the sandbox in a terminal', () => {
  it('streamed answer: prints each message once, whole', async (context) => {
    const { terminal, printed, printedText } = await openTerminal(context);
    await terminal.act('slow 60 words 20 ms');
    await printedText('word60');
    const answers = printed.filter((text) => text.includes('word1 '));
    context.expect(answers.filter((text) => !text.includes('word60'))).toEqual([]);
  });

  it('button typed in other letters: clicks it; reply goes to the thread', async (context) => {
    const { terminal, sandbox, printedText } = await openTerminal(context);
    await terminal.act('run bash touch hello.txt && echo made it');
    await printedText('[Approve]');
    await terminal.act('[aPPROVE]');
    await printedText('made it');
    await terminal.act('say: and on');
    await printedText('and on');
    const { control } = sandbox.slack;
    const mine = control.messages('C01GEN').filter(({ user }) => user === 'U01ALICE');
    context.expect(mine.map(({ thread_ts }) => thread_ts)).toEqual([null, mine[0]?.ts]);
    await context.expect(terminal.act('[Fly]')).rejects.toThrow('There is no [Fly] to click.');
  });

  it('icon typed by its name: clicks it; its window is shown', async (context) => {
    const { terminal, printedText } = await openTerminal(context);
    await terminal.act('run bash touch hello.txt && echo made it');
    await printedText('[Approve]');
    await terminal.act('[approve]');
    await printedText('Details |');
    await terminal.act('[details]');
    await printedText('┌ Window');
  });

  it('/agent: is a command, and its answer is printed', async (context) => {
    const { terminal, printedText } = await openTerminal(context);
    await terminal.act('say: hello');
    await printedText('hello');
    await terminal.act('/agent status');
    await printedText('(only visible to alice)');
  });

  it('window: shows its fields, takes what is typed', async (context) => {
    const { terminal, printedText } = await openTerminal(context);
    await terminal.act('ask Which color? | Red | Blue');
    await printedText('[Other…]');
    await terminal.act('[other]');
    await printedText('┌ Window');
    await context.expect(terminal.act('[Fly]')).rejects.toThrow(/There is no \[Fly\] in this window. It has \[/);
    await terminal.act('a dark green');
    await printedText('a dark green');
  });

  it('times: in the time zone of this machine', async (context) => {
    const { terminal, output, printedText } = await openTerminal(context);
    await terminal.act('run bash touch hello.txt');
    await printedText('[Approve]');
    await terminal.act('[approve]');
    await printedText('Approved');
    context.expect(output()).not.toMatch(/\d{4}-\d\d-\d\dT/);
  });
});
