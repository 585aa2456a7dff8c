import type { Browser, Page as BrowserPage } from 'playwright-core';
import { onTestFailed, onTestFinished } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Page, startPage } from '../../sandbox/web/server.ts';

export interface PageOptions {
  width?: number;
  bridge?: 'thread';
  agent?: boolean;
  colorScheme?: 'light' | 'dark';
}

/** A sandbox of a test's own, its page open, and everything that the browser asked for. */
export async function openPage(browser: Browser, options: PageOptions = {}) {
  const lines: string[] = [];
  const sandbox: Sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    letta: 'app-server',
    pace: 5,
    agent: options.agent ?? false,
    bridge: options.bridge ?? 'here',
    env: {},
    log: (line) => void lines.push(line),
  });
  const page: Page = await startPage(sandbox, { port: 0 });
  const { width = 1280, colorScheme = 'light' } = options;
  const tab: BrowserPage = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
  onTestFinished(async () => {
    await tab.close();
    await page.close();
    await sandbox.close();
  });
  onTestFailed(() => void process.stderr.write(`${transcript(sandbox.slack, 'C01GEN')}\n${lines.join('')}`));
  tab.setDefaultTimeout(20_000);
  const asked: string[] = [];
  const wrong: string[] = [];
  tab.on('request', (request) => void asked.push(request.url()));
  tab.on('pageerror', (error) => void wrong.push(error.message));
  tab.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
  await tab.goto(page.url);
  const composer = (name: string) => tab.getByRole('textbox', { name });
  const write = async (name: string, text: string) => {
    await composer(name).fill(text);
    await composer(name).press('Enter');
  };
  const thread = tab.getByRole('region', { name: 'Thread' });
  const openThread = (text: string) => {
    const message = tab.locator('.channel').getByRole('article').filter({ hasText: text });
    return message.getByRole('button', { name: /repl(y|ies)/ }).click();
  };
  /** Opens a part of the side panel. */
  const unfold = (name: string) => tab.locator('summary', { hasText: name }).click();
  return { sandbox, page, tab, asked, wrong, write, composer, thread, openThread, unfold };
}
