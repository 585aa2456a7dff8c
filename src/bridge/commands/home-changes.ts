import type { UserId } from '../ids.ts';
import type { Threads } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import { peopleAwaited } from '../record/waiting.ts';
import { asksMark, homeMark } from '../view/home.ts';

/**
 * The same store of threads; tells after each write whose Home tab it may have changed.
 * @param onChanged `null`: everyone's, because requests are shown to all who may decide them
 */
export function watchHomes(store: Threads, onChanged: (users: readonly UserId[] | null) => void): Threads {
  return {
    load: (key) => store.load(key),
    listActive: () => store.listActive(),
    findByToken: (token) => store.findByToken(token),
    loadWaiting: (user) => store.loadWaiting(user),
    async update(key, change) {
      let before: ThreadRecord | null = null;
      const after = await store.update(key, (record) => {
        before = record;
        return change(record);
      });
      noteChange(before, after, onChanged);
      return after;
    },
  };
}

function noteChange(
  before: ThreadRecord | null,
  after: ThreadRecord | null,
  onChanged: (users: readonly UserId[] | null) => void,
): void {
  if (homeMark(before) === homeMark(after)) return;
  const areAsksSame = asksMark(before) === asksMark(after);
  onChanged(areAsksSame ? [...new Set([...peopleOf(before), ...peopleOf(after)])] : null);
}

function peopleOf(record: ThreadRecord | null): UserId[] {
  if (!record) return [];
  const { turn, inbox, tasks = [] } = record;
  return [
    ...(turn ? [turn.requester] : []),
    ...inbox.map(({ user }) => user),
    ...tasks.map((task) => task.for),
    ...peopleAwaited(record),
  ];
}
