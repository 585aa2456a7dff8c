import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../../sandbox/sandbox.ts';
import { chromiumPath, launchBrowser } from '../../support/browser.ts';
import { openPage, type PageOptions } from '../../support/page.ts';
import { until } from '../../support/until.ts';

const SKIPPED = chromiumPath === null;
if (SKIPPED) process.stderr.write('no Chromium: the page is not tested; apt-get install chromium, or set CHROMIUM\n');

/** A call of the app's, past the bridge. */
async function asApp({ slack }: Sandbox, method: string, args: object): Promise<void> {
  const headers = { authorization: `Bearer ${slack.tokens.bot}`, 'content-type': 'application/json' };
  const answer = await fetch(`${slack.url}${method}`, { method: 'POST', headers, body: JSON.stringify(args) });
  expect(await answer.json()).toMatchObject({ ok: true });
}

describe.skipIf(SKIPPED)('the page in a browser', { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  }, 60_000);
  afterAll(() => browser?.close());

  const open = (options: PageOptions = {}) => openPage(browser, options);

  it('shows a growing answer after a mention, a reply and a stop', async () => {
    const { tab, write, thread, openThread, wrong } = await open();
    await write('Message #general', '@agent slow 200 words 100 ms');
    await openThread('slow 200 words');
    await thread.getByText('word4').waitFor();
    expect(await thread.getByText('word200').count()).toBe(0);
    await thread.getByText('word200').waitFor();
    await write('Message the thread', 'slow 300 words 100 ms');
    await thread
      .getByText(/^word1 word2 word3 word4/)
      .last()
      .waitFor();
    await thread.getByRole('log').getByRole('button', { name: /^Stop/ }).click();
    await thread.getByText(/Stopped by/).waitFor();
    expect(await thread.getByText('word300').count()).toBe(0);
    await write('Message the thread', 'say: still here');
    await thread.getByText('still here', { exact: true }).waitFor();
    expect(await tab.getByText('(edited)').count()).toBe(0);
    expect(wrong).toEqual([]);
  });

  it('approves from a diff, and denies with a reason', async () => {
    const { tab, write, thread, openThread } = await open();
    await write('Message #general', '@agent write file poem.txt := roses are red');
    await openThread('write file');
    await thread.getByText('+roses are red').waitFor();
    await thread
      .getByRole('button')
      .filter({ hasText: /^Approve$/ })
      .click();
    await thread.getByText('Done: ').waitFor();
    await thread.getByText('Approved').waitFor();

    await write('Message the thread', 'run bash touch two.txt');
    await thread
      .getByRole('button')
      .filter({ hasText: /^Deny…$/ })
      .click();
    const modal = tab.getByRole('dialog', { name: 'Deny' });
    await modal.getByRole('textbox').fill('use the tmp folder');
    await modal.getByRole('button', { name: 'Deny', exact: true }).click();
    await modal.waitFor({ state: 'detached' });
    await thread.getByText('use the tmp folder').first().waitFor();
  });

  it('answers a question for its requester, refuses another person', async () => {
    const { tab, write, thread, openThread } = await open();
    await write('Message #general', '@agent ask Which color? | Red | Blue');
    await openThread('Which color?');
    await thread.getByRole('button', { name: 'Blue' }).waitFor();
    await tab.getByLabel('You act as').selectOption('U02BOB');
    await thread.getByRole('button', { name: 'Blue' }).click();
    await tab.getByText('Only visible to you').first().waitFor();
    await tab.getByLabel('You act as').selectOption('U01ALICE');
    await thread.getByRole('button', { name: 'Blue' }).click();
    await thread.getByText(/^Done: /).waitFor();
  });

  it('works by keyboard alone: mention list, thread, Escape', async () => {
    const { tab, composer, thread } = await open();
    await composer('Message #general').focus();
    await tab.keyboard.type('@age');
    await tab.getByRole('option', { name: /@agent/ }).waitFor();
    await tab.keyboard.press('Enter');
    expect(await composer('Message #general').inputValue()).toBe('@agent ');
    await tab.keyboard.type('say: by keyboard');
    await tab.keyboard.press('Enter');
    const replies = tab.getByRole('button', { name: /1 reply/ });
    await replies.focus();
    await tab.keyboard.press('Enter');
    await thread.getByText('by keyboard', { exact: true }).waitFor();
    await tab.keyboard.press('Escape');
    await thread.waitFor({ state: 'detached' });
    await tab.keyboard.press('Alt+ArrowDown');
    await composer('Message #eng').waitFor();
  });

  it('a reaction: added and taken back by keyboard, seen by all', async () => {
    const { sandbox, tab, write, wrong } = await open();
    await write('Message #general', 'deploy failed with E42');
    const message = tab.locator('.channel').getByRole('article').filter({ hasText: 'E42' });
    await message.waitFor();
    const focused = () => tab.evaluate<string>("document.activeElement?.getAttribute('aria-label') ?? ''");
    // From where the person writes, backwards to the newest message's tools.
    for (let n = 0; n < 15 && !(await focused()).startsWith('React with'); n += 1)
      await tab.keyboard.press('Shift+Tab');
    for (let n = 0; n < 6 && (await focused()) !== 'React with +1'; n += 1) await tab.keyboard.press('ArrowRight');
    expect(await focused()).toBe('React with +1');
    await tab.keyboard.press('Enter');
    const shown = message.locator('.reactions').getByRole('button', { pressed: true });
    await shown.filter({ hasText: '👍 1' }).waitFor();
    const reactions = () => sandbox.slack.control.messages('C01GEN').map(({ reactions }) => reactions);
    expect(reactions()).toContainEqual({ '+1': [expect.any(String)] });
    await tab.keyboard.press('Enter');
    await shown.waitFor({ state: 'detached' });
    expect(reactions()).not.toContainEqual({ '+1': [expect.any(String)] });
    expect(wrong).toEqual([]);
  });

  it('marks a channel as unread until it is opened', async () => {
    const { sandbox, tab } = await open();
    const { control } = sandbox.slack;
    await tab.getByRole('textbox', { name: 'Message #general' }).waitFor();
    await control.message({ channel: 'C02ENG', user: 'U02BOB', text: 'look here @alice' });
    const eng = tab.getByRole('button', { name: /eng/ });
    await eng.getByTitle('unread').getByText('1').waitFor();
    await eng.click();
    await tab.locator('.channel').getByText('look here').waitFor();
    await eng.getByTitle('unread').waitFor({ state: 'detached' });
  });

  it('shows the app’s status under the thread until it is cleared', async () => {
    const { sandbox, tab, thread } = await open();
    const { control } = sandbox.slack;
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U02BOB', text: 'among people' });
    const message = tab.locator('.channel').getByRole('article').filter({ hasText: 'among people' });
    await message.hover();
    await message.getByRole('button', { name: 'Reply in thread' }).click();
    const status = (words: string) =>
      asApp(sandbox, 'assistant.threads.setStatus', { channel_id: 'C01GEN', thread_ts: ts, status: words });
    await status('is reading the log…');
    await thread.getByRole('status').getByText('Agent is reading the log…').waitFor();
    await status('');
    await thread.getByText('Agent is reading the log…').waitFor({ state: 'detached' });
  });

  it('offers commands, App Home, links, reactions, edits, deletion and files', async () => {
    const { sandbox, tab, write } = await open();
    const { control } = sandbox.slack;
    await write('Message #general', '/agent help');
    await tab.getByText('Only visible to you').first().waitFor();
    await tab.getByRole('button', { name: /^Agent/ }).click();
    await tab.getByRole('tab', { name: 'Home' }).click();
    await tab.getByRole('region', { name: 'App Home' }).locator('.blocks').waitFor();
    await tab.getByRole('button', { name: /general/ }).click();
    await control.message({
      channel: 'C01GEN',
      user: 'U02BOB',
      text: '<https://sandbox.slack.com/archives/C02ENG/p1795598139009872|over there>',
    });
    await tab.locator('.channel').getByRole('button', { name: 'over there' }).click();
    await tab.getByRole('textbox', { name: 'Message #eng' }).waitFor();
    await tab.getByRole('button', { name: /general/ }).click();

    await write('Message #general', 'a first wording');
    const message = tab.getByRole('article').filter({ hasText: 'a first wording' });
    await message.hover();
    await message.getByRole('button', { name: 'React with eyes' }).click();
    await message.getByRole('button', { name: /👀 1/ }).waitFor();
    await message.getByRole('button', { name: 'Edit message' }).click();
    await tab.getByRole('textbox', { name: 'Edit message' }).fill('a second wording');
    await tab.keyboard.press('Enter');
    await tab.getByText('(edited)').waitFor();
    const edited = tab.getByRole('article').filter({ hasText: 'a second wording' });
    await edited.hover();
    await edited.getByRole('button', { name: 'Delete message' }).click();
    await edited.waitFor({ state: 'detached' });

    await tab.locator('input[type=file]').setInputFiles({
      name: 'page.html',
      mimeType: 'text/html',
      buffer: Buffer.from('<script>document.title = "taken over"</script>'),
    });
    await tab.getByRole('textbox', { name: 'Message #general' }).press('Enter');
    await tab.getByRole('link', { name: 'page.html' }).waitFor();
    const [shared] = sandbox.slack.control.messages('C01GEN').flatMap(({ files }) => files);
    expect(shared?.size).toBe(46);
  });

  it('plays a scene, shows its traffic and arms faults', async () => {
    const { tab, write, thread, unfold } = await open();
    await tab.getByRole('button', { name: /^Question/ }).click();
    await thread.getByText('Which color?').first().waitFor();
    await tab.getByText('The scene is over').waitFor();
    await unfold('Traffic');
    await unfold('Slack’s limits');
    const traffic = tab.getByRole('region', { name: 'Traffic' });
    await traffic.getByText('chat.postMessage').first().waitFor();
    await traffic.getByText('block_actions').first().waitFor();
    await traffic.getByText('runtime_start').first().waitFor();
    await tab.getByRole('region', { name: 'Budget' }).getByText('chat.postMessage in #general').waitFor();

    await unfold('Faults');
    await tab.getByRole('button', { name: 'Edits: 429 × 5' }).click();
    await tab.getByText('Armed now: chat.update: ratelimited × 5').waitFor();
    await tab.getByRole('button', { name: 'Clear Slack’s' }).click();
    await tab.getByText('Armed now').waitFor({ state: 'detached' });
    await tab.getByRole('button', { name: 'Edits: 429 × 5' }).click();
    await write('Message #general', '@agent slow 60 words 50 ms');
    await traffic
      .getByText(/429 ratelimited/)
      .first()
      .waitFor();
    await tab.getByText(/^429: chat.update × \d/).waitFor();
  });

  it('shows an interrupted turn after the bridge was killed and started', async () => {
    const { sandbox, tab, write, thread, openThread } = await open({ bridge: 'thread' });
    await write('Message #general', '@agent slow 400 words 50 ms');
    await openThread('slow 400 words');
    await thread.getByText('word3').waitFor();
    await tab.getByRole('button', { name: 'Kill it' }).click();
    const bridge = tab.getByRole('region', { name: 'Bridge' });
    await bridge.getByText('down').waitFor();
    expect(sandbox.bridge).toBe('down');
    await bridge.getByRole('button', { name: 'Start' }).click();
    await bridge.getByText('running').waitFor();
    await thread.getByText(/Interrupted/).waitFor();
  });

  it('draws every block and element, and asks for confirmation', async () => {
    const { sandbox, tab } = await open();
    const text = (words: string) => ({ type: 'plain_text', text: words });
    const options = ['one', 'two'].map((value) => ({ text: text(`Option ${value}`), value }));
    const confirm = {
      title: text('Sure?'),
      text: text('It can not be undone.'),
      confirm: text('Do it'),
      deny: text('No'),
    };
    const blocks = [
      { type: 'header', text: text('A header') },
      {
        type: 'section',
        text: { type: 'mrkdwn', text: '*bold* <@U01ALICE> `a &amp; b` &lt;i&gt;' },
        fields: [text('A field')],
        accessory: { type: 'overflow', action_id: 'more', options },
      },
      { type: 'divider' },
      {
        type: 'context',
        elements: [text('A context'), { type: 'image', alt_text: 'a logo', image_url: 'https://x.example/a' }],
      },
      {
        type: 'table',
        rows: [
          [
            { type: 'raw_text', text: 'head' },
            { type: 'raw_text', text: 'size' },
          ],
          [
            { type: 'raw_text', text: 'cell' },
            { type: 'raw_text', text: '12' },
          ],
        ],
      },
      {
        type: 'actions',
        elements: [
          { type: 'button', action_id: 'drop', text: text('Drop it'), style: 'danger', confirm },
          { type: 'static_select', action_id: 'pick', placeholder: text('Pick one'), options },
          { type: 'checkboxes', action_id: 'check', options },
          { type: 'radio_buttons', action_id: 'radio', options },
          { type: 'datepicker', action_id: 'day' },
        ],
      },
      { type: 'image', alt_text: 'a chart', image_url: 'https://x.example/b' },
      { type: 'plan', title: 'A plan' },
      { type: 'carousel', elements: [] },
    ];
    const { control } = sandbox.slack;
    await asApp(sandbox, 'chat.postMessage', { channel: 'C01GEN', text: 'blocks', blocks });

    const message = tab.locator('.channel').getByRole('article');
    await message.getByText('A header').waitFor();
    for (const words of [
      'A field',
      'A context',
      'a logo',
      'Picture: a chart',
      '@alice',
      'a & b',
      'A plan',
      'A carousel block',
    ]) {
      expect(await message.getByText(words).count(), words).toBe(1);
    }
    expect(await message.getByText('<i>').count()).toBe(1);
    expect(await message.getByRole('cell').allTextContents()).toEqual(['cell', '12']);
    expect(await message.getByRole('radio').count()).toBe(2);
    const clicks = () =>
      control
        .log({ type: 'envelope' })
        .flatMap((entry) => (entry.type === 'envelope' && entry.kind === 'interactive' ? [entry.payload.actions] : []));
    await message.getByRole('button', { name: 'Drop it' }).click();
    await tab.getByRole('dialog', { name: 'Sure?' }).getByRole('button', { name: 'No' }).click();
    expect(clicks()).toEqual([]);
    await message.getByRole('button', { name: 'Drop it' }).click();
    await tab.getByRole('dialog', { name: 'Sure?' }).getByRole('button', { name: 'Do it' }).click();
    await message.getByRole('combobox').selectOption('two');
    await message.getByRole('checkbox', { name: 'Option one' }).check();
    await until(
      () =>
        new Set(clicks().flatMap((actions) => (actions as { action_id: string }[]).map((one) => one.action_id)))
          .size === 3,
      () => JSON.stringify(clicks()),
    );
    expect(JSON.stringify(clicks())).toContain('"value":"two"');
  });

  it('has one column and no overflow at 390 pixels', async () => {
    const { tab, write, thread, openThread, unfold } = await open({ width: 390 });
    await write('Message #general', '@agent report');
    await openThread('report');
    await thread.getByText('Should I continue?').waitFor();
    const wide = () => tab.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
    expect(await wide()).toBe(false);
    await tab.getByRole('button', { name: 'Behind the scenes' }).click();
    await unfold('Traffic');
    await tab.getByRole('region', { name: 'Traffic' }).waitFor();
    expect(await wide()).toBe(false);
    await tab.getByRole('button', { name: 'Channels' }).click();
    await tab.getByRole('button', { name: /eng/ }).click();
    await tab.getByRole('textbox', { name: 'Message #eng' }).waitFor();
  });

  it('shows hostile text as text, and loads nothing from elsewhere', async () => {
    const { sandbox, page, tab, asked, write, thread, openThread } = await open();
    const { control } = sandbox.slack;
    const evil = '<img src=x onerror="document.title=1"> <script>document.title=2</script> javascript:alert(1)';
    await control.message({ channel: 'C01GEN', user: 'U02BOB', text: evil });
    await tab.getByText('<img src=x').waitFor();
    // The bridge would not send this; the page must not rely on it.
    const raw = [{ type: 'markdown', text: `From an app: ${evil}\n\n<b id="raw">block</b>` }];
    await asApp(sandbox, 'chat.postMessage', { channel: 'C01GEN', text: 'raw', blocks: raw });
    await tab.getByText('From an app:').waitFor();
    await write('Message #general', `@agent say: ${evil} ![pic](https://evil.example/p.png) [x](javascript:alert(1))`);
    await openThread('say:');
    await thread.getByText('evil.example').first().waitFor();
    expect(await tab.title()).toBe('Sandbox');
    expect(await tab.locator('.list img, .list script, #raw').count()).toBe(0);
    const links = await tab.locator('.list a').evaluateAll((all) => all.map((link) => link.getAttribute('href') ?? ''));
    expect(links.filter((href) => !href.startsWith('https://'))).toEqual([]);
    expect(asked.filter((url) => !url.startsWith(page.url))).toEqual([]);
    const refused = await tab.evaluate(`(async () => {
      const fetched = await fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused');
      const image = await new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', (event) => {
          if (event.effectiveDirective === 'img-src') resolve('refused');
        });
        new Image().src = 'https://evil.example/p.png';
      });
      return { fetched, image };
    })()`);
    expect(refused).toEqual({ fetched: 'refused', image: 'refused' });
  });
});
