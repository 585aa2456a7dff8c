import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where the browser is: `CHROMIUM`, else where distributions put it; `null` where there is none. */
export const chromiumPath: string | null =
  [process.env.CHROMIUM ?? '', ...PLACES].find((path) => path !== '' && existsSync(path)) ?? null;

export function launchBrowser(): Promise<Browser> {
  if (chromiumPath === null) throw new Error('no Chromium: apt-get install chromium, or say where it is in CHROMIUM');
  // Its sandbox needs a user other than root, which containers seldom have; it only ever sees the page of these tests.
  return chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu'] });
}
