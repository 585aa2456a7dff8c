import { describe, expect, it } from 'vitest';
import { LONGEST_PROMPT } from '../../../src/bridge/schedules/schedule.ts';
import { readSchedule } from '../../../src/bridge/thread/core/drafts.ts';
import { askScheduleText, HOW_TO_SCHEDULE, SCHEDULES } from '../../../src/bridge/words/schedules.ts';

const draft = { id: 'abcd1234', owner: 'U01ALICE', prompt: 'post it', cron: '0 9 * * 1', once: null, zone: 'UTC' };

describe('the card of a schedule', () => {
  it.each([
    ['*/15 * * * *', 'every 15 minutes'],
    // Letta begins anew with each hour and each day, so these gaps are not all alike.
    ['*/45 * * * *', 'by the rule `*/45 * * * *`'],
    ['0 */6 * * *', 'every 6 hours'],
    ['0 */5 * * *', 'every day at 0:00, 5:00, 10:00, 15:00 and 20:00'],
  ])('says of %s what it means', (cron, words) => {
    expect(askScheduleText({ ...draft, cron }, 0)).toContain(`*${words} (UTC)*`);
  });

  it('shows what is invisible in the prompt', () => {
    const text = askScheduleText({ ...draft, prompt: 'post\u202E it\u{E0068}\u{E0069} 👩\u200D💻' }, 0);
    expect(text).toContain('post⟨U+202E⟩ it⟨U+E0068⟩⟨U+E0069⟩ 👩\u200D💻');
  });

  it('is not made for a prompt too long with its invisible characters', () => {
    const read = (what: string) => readSchedule({ when: 'every Monday 9:00', what }, { kind: 'member' }, 0);
    expect(read(`post ${'\u{E0068}'.repeat(LONGEST_PROMPT / 4)}`)).toBe(SCHEDULES.tooLong);
    expect(read('post')).not.toBe(HOW_TO_SCHEDULE);
  });
});
