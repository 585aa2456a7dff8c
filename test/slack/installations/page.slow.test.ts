import axe, { type AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { freePort } from '../../../sandbox/free-port.ts';
import { chromiumPath, launchBrowser } from '../../support/browser.ts';
import { oauthSettings, redirectUrl } from '../../support/installing.ts';
import { startWhole } from '../../support/whole.ts';

const SECOND = 'T02SECOND';

/** What axe finds wrong on the page, one line for each kind. */
async function faultsOf(tab: Page): Promise<string[]> {
  await tab.evaluate(axe.source);
  const { violations } = await tab.evaluate<AxeResults>('axe.run()');
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

describe.skipIf(chromiumPath === null)('installing the app in a browser', { timeout: 120_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  }, 60_000);
  afterAll(() => browser?.close());

  async function open(context: TestContext, scheme: 'light' | 'dark' = 'light') {
    const port = await freePort();
    const whole = await startWhole(context, {
      slack: {
        isInstalled: false,
        workspaces: [{ id: SECOND, suffix: 'B', name: 'Second' }],
        oauth: { redirectUrls: [redirectUrl(port)] },
      },
      env: (slack) => ({ ...oauthSettings(slack, port), SLACK_ALLOWED_CHANNELS: '*' }),
    });
    const page = await (await browser.newContext({ colorScheme: scheme })).newPage();
    context.onTestFinished(() => page.context().close());
    const errors: string[] = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await page.goto(whole.app.installUrl ?? '');
    return { whole, page, errors };
  }

  it.for(['light', 'dark'] as const)('%s: allowed, it is installed, and axe finds nothing', async (scheme, context) => {
    const { page, errors } = await open(context, scheme);
    expect(await faultsOf(page)).toEqual([]);
    await page.locator('a.go').click();
    await page.getByRole('combobox').selectOption(SECOND);
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('heading', { name: 'The agent is installed' }).waitFor();
    expect(await faultsOf(page)).toEqual([]);
    // The same answer again: the address is still in the browser's history.
    await page.reload();
    await page.getByRole('heading', { name: 'too old' }).waitFor();
    // Browsers ask for an icon, which neither has, and tell of the 400 of the page that is too old.
    expect(errors.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([]);
  });

  it('refused: the page says so, and leads back to the beginning', async (context) => {
    const { page, whole } = await open(context);
    await page.locator('a.go').click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('heading', { name: 'You did not allow it' }).waitFor();
    expect(await faultsOf(page)).toEqual([]);
    await page.locator('a.go').click();
    expect(page.url()).toBe(whole.app.installUrl);
  });
});
