import { mkdirSync } from 'node:fs';
import type { Browser, Page as Tab } from 'playwright-core';
import { startSandbox } from '../../../sandbox/sandbox.ts';
import { startPage } from '../../../sandbox/web/server.ts';
import { launchBrowser } from '../../support/browser.ts';

/** Writes the pictures of the README into `docs/`, from runs of the sandbox: they show what it does. */
const FOLDER = 'docs';
const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 390, height: 844 };

async function open(browser: Browser, look: { viewport: typeof WIDE; colorScheme: 'light' | 'dark' }) {
  const sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    letta: 'app-server',
    bridge: 'thread',
    env: { LOG_LEVEL: 'error' },
    log: (line) => void process.stderr.write(line),
  });
  const page = await startPage(sandbox, { port: 0 });
  const context = await browser.newContext({
    ...look,
    deviceScaleFactor: 1.5,
    locale: 'en-GB',
    reducedMotion: 'reduce',
  });
  const tab = await context.newPage();
  await tab.goto(page.url);
  const close = async () => {
    await context.close();
    await page.close();
    await sandbox.close();
  };
  return { sandbox, tab, close };
}

async function picture(tab: Tab, name: string): Promise<void> {
  await tab.mouse.move(0, 0);
  await tab.screenshot({ path: `${FOLDER}/${name}.png` });
  process.stdout.write(`${FOLDER}/${name}.png\n`);
}

const threadOf = (tab: Tab) => tab.getByRole('region', { name: 'Thread' });

async function say(tab: Tab, text: string): Promise<void> {
  const field = tab.getByRole('textbox', { name: 'Message #general' });
  await field.fill(text);
  await field.press('Enter');
  const message = tab
    .locator('.channel')
    .getByRole('article')
    .filter({ hasText: text.slice(0, 40) });
  await message.getByRole('button', { name: /repl(y|ies)/ }).click();
}

/** An answer under way, with a table in it. */
async function growing(browser: Browser, name: string, look: Parameters<typeof open>[1]): Promise<void> {
  const { tab, close } = await open(browser, look);
  await say(tab, '@agent report');
  await threadOf(tab).getByText('What I would do next').waitFor();
  await picture(tab, name);
  await close();
}

/** An approval that waits, with what it is about to change. */
async function approval(browser: Browser, name: string, look: Parameters<typeof open>[1]): Promise<void> {
  const { tab, close } = await open(browser, look);
  const poem = 'roses are red\\nviolets are blue\\nthe build is green';
  await say(tab, `@agent write file poem.txt := ${poem}`);
  await threadOf(tab).getByText('+roses are red').waitFor();
  await picture(tab, name);
  await close();
}

mkdirSync(FOLDER, { recursive: true });
const browser = await launchBrowser();
try {
  await growing(browser, 'sandbox-light', { viewport: WIDE, colorScheme: 'light' });
  await approval(browser, 'sandbox-dark', { viewport: WIDE, colorScheme: 'dark' });
  await growing(browser, 'sandbox-narrow-light', { viewport: NARROW, colorScheme: 'light' });
  await approval(browser, 'sandbox-narrow-dark', { viewport: NARROW, colorScheme: 'dark' });
} finally {
  await browser.close();
}
