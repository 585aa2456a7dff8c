import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WELCOME_SCENE } from '../../../sandbox/web/scenes.ts';
import { chromiumPath, launchBrowser } from '../../support/browser.ts';
import { openPage } from '../../support/page.ts';

describe.skipIf(chromiumPath === null)('the first minute on the page', { timeout: 120_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  }, 60_000);
  afterAll(() => browser?.close());

  it('after its scene: thread open, cursor in the composer, three suggestions', async () => {
    const { page, tab, thread } = await openPage(browser);
    const played = await page.playScene(WELCOME_SCENE);
    expect(played?.failures).toEqual([]);
    await thread.getByText('The next nightly build should be green').waitFor();
    const welcome = thread.getByRole('region', { name: 'Welcome' });
    expect(await welcome.getByRole('listitem').count()).toBe(3);
    expect(await tab.evaluate('document.activeElement.ariaLabel')).toBe('Message the thread');
    await tab.keyboard.type('what is the meaning of life?');
    await tab.keyboard.press('Enter');
    const answer = thread.getByText(/You wrote: “what is the meaning of life\?”/);
    await answer.waitFor();
    expect(await thread.getByText(/trusted:/).count()).toBe(0);
    await welcome.getByRole('button', { name: /Let it change a file/ }).click();
    await thread.getByText('+roses are red').first().waitFor();
    await welcome.getByRole('button', { name: 'Close the suggestions' }).click();
    await welcome.waitFor({ state: 'detached' });
  });

  it('after a reload: opens the thread that was played', async () => {
    const { page, tab, thread } = await openPage(browser);
    await page.playScene('files');
    await tab.reload();
    await thread.getByText('I read the log.', { exact: false }).first().waitFor();
  });

  it('keyboard: Approve is few Tab stops away from anywhere', async () => {
    const { tab, write, thread, openThread } = await openPage(browser);
    await write('Message #general', '@agent run bash touch one.txt');
    await openThread('touch one.txt');
    const approve = thread.getByRole('button').filter({ hasText: /^Approve$/ });
    await approve.waitFor();
    const isFocused = async () => (await tab.evaluate('document.activeElement.textContent')) === 'Approve';
    const stopsUntilApprove = async (key: string) => {
      for (let stops = 1; stops <= 30; stops += 1) {
        await tab.keyboard.press(key);
        if (await isFocused()) return stops;
      }
      return Number.POSITIVE_INFINITY;
    };
    await thread.getByRole('button', { name: 'Close the suggestions' }).click();
    await thread.getByRole('textbox').focus();
    expect(await stopsUntilApprove('Shift+Tab')).toBeLessThanOrEqual(6);
    await tab.getByRole('button', { name: 'Go to what waits for your click' }).focus();
    await tab.keyboard.press('Enter');
    expect(await isFocused()).toBe(true);
    await tab.keyboard.press('Enter');
    await thread.getByText('Approved').first().waitFor();
  });

  it('channel without the agent: says so, adds it', async () => {
    const { tab, write, thread, openThread } = await openPage(browser);
    await tab.getByRole('button', { name: /^outside/ }).click();
    await tab.getByText('The agent is not in #outside, so it does not hear you here.').waitFor();
    await tab.getByRole('button', { name: 'Add @agent' }).click();
    await tab.getByText('The agent is not in #outside').waitFor({ state: 'detached' });
    await write('Message #outside', '@agent say: I hear you');
    await openThread('say: I hear you');
    await thread.getByText('I hear you', { exact: true }).waitFor();
  });

  it('as an agent: shows Slack’s own session and stop', async () => {
    const { write, thread, openThread } = await openPage(browser, { agent: true });
    await write('Message #general', '@agent slow 200 words 60 ms');
    await openThread('slow 200 words');
    await thread.getByText('processing').waitFor();
    await thread.getByRole('button', { name: 'Stop the agent', exact: true }).last().waitFor();
  });

  it.each([1280, 390])('at %d pixels: cuts no name', async (width) => {
    const { page, tab, unfold } = await openPage(browser, { width });
    await page.playScene('files');
    if (width === 390) await tab.getByRole('button', { name: 'Behind the scenes' }).click();
    await unfold('Slack’s limits');
    await unfold('Traffic');
    await tab.getByText('assistant.threads.setStatus').first().waitFor();
    const cut =
      await tab.evaluate(`[...document.querySelectorAll('button, span, strong, small, summary, h1, h2, select')]
      .filter((each) => each.checkVisibility() && getComputedStyle(each).overflowX !== 'visible')
      .filter((each) => each.clientWidth > 1 && each.scrollWidth > each.clientWidth + 1)
      .map((each) => each.textContent)`);
    expect(cut).toEqual([]);
    await tab
      .getByText(/^state$/)
      .first()
      .waitFor();
    await tab.getByText(/×\d+/).first().waitFor();
  });
});
