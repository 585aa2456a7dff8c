import { describe, expect, it } from 'vitest';
import { waitingOf } from '../../../src/bridge/view/home.ts';
import { inboxItem, offerOf, openTurn, threadKeyOf, threadRecord } from '../../support/records.ts';

const KEY = threadKeyOf(1);
const AT = 1_700_000_000_000;
const HOUR = 3_600_000;
const failure = { for: 'U01ALICE', at: AT, line: 'The model’s provider returned an error (500). Nothing was changed.' };
const waiting = (change: Parameters<typeof threadRecord>[1], user = 'U01ALICE', now = AT + HOUR) =>
  waitingOf(threadRecord(KEY, change), user, 'U0BOT', now);

describe('a thread where something waits for a person', () => {
  it('failed, with a way on: has cause, message and way', () => {
    expect(waiting({ failure, offers: [offerOf(1, { kind: 'send_again' })] })).toMatchObject({
      failure: failure.line,
      question: inboxItem(1)
        .spans.map((span) => ('text' in span ? span.text : ''))
        .join(''),
      ways: ['You can try again.'],
      since: AT,
    });
  });

  it('failed, without a way on: is shown for a day', () => {
    expect(waiting({ failure })).toMatchObject({ failure: failure.line, ways: [], question: '' });
    expect(waiting({ failure }, 'U01ALICE', AT + 25 * HOUR)).toBeNull();
  });

  it('tried again by now: has no failure', () => {
    expect(waiting({ failure, turn: openTurn(2) })).toBeNull();
    expect(waiting({ failure, inbox: [inboxItem(2)] })).toBeNull();
  });

  it('with only others’, decided or old offers: is not shown', () => {
    expect(waiting({ failure, offers: [offerOf(1)] }, 'U02BOB')).toBeNull();
    expect(waiting({ offers: [offerOf(1, { state: { state: 'lapsed', at: AT } })] })).toBeNull();
    expect(waiting({ offers: [offerOf(1)] }, 'U01ALICE', AT + 8 * 24 * HOUR)).toBeNull();
    expect(waiting({ offers: [offerOf(1, { kind: 'background' })] })).toBeNull();
  });
});
