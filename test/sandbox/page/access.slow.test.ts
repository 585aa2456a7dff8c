import axe, { type AxeResults } from 'axe-core';
import type { Browser, Page as BrowserPage } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_SCENES } from '../../../sandbox/web/scenes.ts';
import { chromiumPath, launchBrowser } from '../../support/browser.ts';
import { openPage } from '../../support/page.ts';

/** What axe finds wrong on the page as it is, one line for each element. */
async function findings(tab: BrowserPage): Promise<string[]> {
  // Past the page's policy, which allows no script but its own.
  await tab.evaluate(axe.source);
  const { violations } = await tab.evaluate<AxeResults>('axe.run()');
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html.slice(0, 200)}`));
}

describe.skipIf(chromiumPath === null)('the page for everyone', { timeout: 600_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  }, 60_000);
  afterAll(() => browser?.close());

  it('every scene: axe finds nothing at its end', async () => {
    const { page, tab } = await openPage(browser, { bridge: 'thread' });
    const found: Record<string, string[]> = {};
    for (const { id } of PAGE_SCENES) {
      const played = await page.playScene(id);
      expect(played?.failures).toEqual([]);
      const here = await findings(tab);
      if (here.length > 0) found[id] = here;
    }
    expect(found).toEqual({});
  });

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('%s at %d pixels: axe finds nothing while people decide', async (colorScheme, width) => {
    const { tab, write, thread, openThread, unfold } = await openPage(browser, { width, colorScheme });
    const found: Record<string, string[]> = {};
    const look = async (where: string) => {
      const here = await findings(tab);
      if (here.length > 0) found[where] = here;
    };
    await look('welcome');
    await write('Message #general', '@agent write file poem.txt := roses are red');
    await openThread('write file');
    const approve = thread.getByRole('button').filter({ hasText: /^Approve$/ });
    await approve.waitFor();
    await look('a card');
    await thread
      .getByRole('button')
      .filter({ hasText: /^Deny.+/ })
      .first()
      .click();
    await tab.getByRole('dialog').waitFor();
    await look('a window');
    await tab.keyboard.press('Escape');
    await approve.click();
    await thread.getByText('Done: ').waitFor();
    if (width === 390) await tab.getByRole('button', { name: 'Behind the scenes' }).click();
    for (const part of ['What the scripted agent understands', 'Faults', 'Slack’s limits', 'Traffic'])
      await unfold(part);
    await look('behind the scenes');
    if (width === 390) await tab.getByRole('button', { name: 'Channels' }).click();
    await look('channels');
    await tab.getByRole('button', { name: /^outside/ }).click();
    await tab.getByRole('button', { name: 'Add @agent' }).waitFor();
    await look('a channel without the agent');
    if (width === 390) await tab.getByRole('button', { name: 'Channels' }).click();
    await tab.getByRole('button', { name: /^Agent/ }).click();
    await tab.getByRole('tab', { name: 'Home' }).click();
    await tab.getByRole('region', { name: 'App Home' }).locator('.blocks').waitFor();
    await look('Home');
    expect(found).toEqual({});
  });
});
