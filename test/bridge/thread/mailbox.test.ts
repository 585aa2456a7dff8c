import { describe, expect, it } from 'vitest';
import { type Changes, Mailbox } from '../../../src/bridge/thread/mailbox.ts';
import { createFakeClock } from '../../support/clock.ts';
import { silentLog } from '../../support/middle.ts';

/** A disk that takes what is changed, in order. */
function createChanges() {
  const pending: string[] = [];
  const stored: string[] = [];
  const changes: Changes = {
    load: () => Promise.resolve(),
    get pending() {
      return pending.length > 0;
    },
    commit() {
      stored.push(...pending.splice(0));
      return Promise.resolve();
    },
    drop: () => void pending.splice(0),
    hurry: () => undefined,
  };
  return { changes, stored, change: (what: string) => void pending.push(what) };
}

function createMailbox() {
  const clock = createFakeClock();
  const { changes, stored, change } = createChanges();
  const done: string[] = [];
  const onFailed = () => void done.push('taken up');
  const mailbox = new Mailbox({ clock, log: silentLog, changes, onEmpty: () => undefined, onFailed });
  return { clock, mailbox, stored, change, done };
}

describe('an event that throws', () => {
  it('on its own: its changes are stored, its effects done', async () => {
    const { clock, mailbox, stored, change, done } = createMailbox();
    mailbox.post(() => {
      change('the turn has ended');
      mailbox.after(() => void done.push(`showing the end, ${stored.length} stored`));
      throw new TypeError('a bug');
    });
    await clock.settle();
    expect(stored).toEqual(['the turn has ended']);
    expect(done).toEqual(['showing the end, 1 stored']);
    await clock.advance(1_000);
    expect(done.at(-1)).toBe('taken up');
  });

  it('asked by somebody: they are told, nothing is stored or done', async () => {
    const { clock, mailbox, stored, change, done } = createMailbox();
    const asked = mailbox.ask(() => {
      change('decided');
      mailbox.after(() => void done.push('telling Letta'));
      throw new TypeError('a bug');
    });
    await expect(asked).rejects.toThrow('a bug');
    mailbox.post(() => change('something else'));
    await clock.settle();
    expect(stored).toEqual(['something else']);
    expect(done).toEqual([]);
  });
});
