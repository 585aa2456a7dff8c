import { afterAll } from 'vitest';
import { watchResources } from './open-resources.ts';

/*
 * A setup file. Test files share their process, so what one of them leaves open (a server, a timer) would go on in the
 * next one, where nobody looks for it: such a file fails.
 */

const resources = watchResources();

// Registered before any hook of the file itself, so it runs after all of them.
afterAll(async () => {
  const left = await resources.leftOpen();
  if (left.length > 0) throw new Error(`This file leaves open what it opened; close it there:\n${left.join('\n')}`);
});
