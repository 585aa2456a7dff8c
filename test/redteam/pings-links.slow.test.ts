import fc from 'fast-check';
import { describe, it } from 'vitest';
import { documents, judge } from './pings-links.ts';

describe('foreign text in Slack messages', () => {
  it('pings no person and hides no address, in 10,000 documents', () => {
    fc.assert(fc.property(documents, judge), { numRuns: 10_000 });
  });
});
