import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The path of the browser: `CHROMIUM`, else where distributions install it; `null` when there is none. */
export const chromiumPath: string | null =
  [process.env.CHROMIUM ?? '', ...PLACES].find((path) => path !== '' && existsSync(path)) ?? null;

export function launchBrowser(): Promise<Browser> {
  if (chromiumPath === null) throw new Error('no Chromium: apt-get install chromium, or say where it is in CHROMIUM');
  // Without its sandbox, which does not work for root, and containers mostly run as root. It only opens our test page.
  return chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu'] });
}
