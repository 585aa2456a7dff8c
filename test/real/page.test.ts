import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { type Page, startPage } from '../../sandbox/web/server.ts';
import { chromiumPath, launchBrowser } from '../support/browser.ts';
import { type RealLetta, startRealLetta } from '../support/letta/real-letta.ts';

const SKIPPED = chromiumPath === null;
if (SKIPPED) process.stderr.write('no Chromium: the page is not tested; apt-get install chromium, or set CHROMIUM\n');

describe.skipIf(SKIPPED)('the page with a real agent', () => {
  let letta: RealLetta;
  let sandbox: Sandbox;
  let page: Page;
  let browser: Browser;

  beforeAll(async () => {
    letta = await startRealLetta('app-server');
    const options = { port: 0, limits: 'on', letta: 'app-server', bridge: 'thread' } as const;
    sandbox = await startSandbox({ ...options, env: letta.env, log: () => undefined });
    page = await startPage(sandbox, { port: 0 });
    browser = await launchBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    await page?.close();
    await sandbox?.close();
    await letta?.close();
  });

  it('shows its answer grow and runs an approved command', async () => {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(60_000);
    await tab.goto(page.url);
    await tab.getByText('A real agent answers here').waitFor();
    const write = async (field: string, text: string) => {
      await tab.getByRole('textbox', { name: field }).fill(text);
      await tab.getByRole('textbox', { name: field }).press('Enter');
    };
    await write('Message #general', '@agent slow 200 words 80 ms');
    await tab
      .locator('main')
      .getByRole('button', { name: /repl(y|ies)/ })
      .click();
    const thread = tab.getByRole('region', { name: 'Thread' });
    await thread.getByText('word3').waitFor();
    expect(await thread.getByText('word200').count()).toBe(0);
    await thread.getByText('word200').waitFor();
    await write('Message the thread', 'run bash echo made it > page.txt && cat page.txt');
    await thread
      .getByRole('button')
      .filter({ hasText: /^Approve$/ })
      .click();
    await thread.getByText('Done: made it').waitFor();
  });
});
