import type { Choices } from '../bridge/ports.ts';

export interface ChosenOnce {
  /** The id that was chosen before, else the one that is found now. */
  get(): Promise<string>;
  /** Letta no longer has `gone`: chooses another id. Callers at the same time get the same one. */
  replace(gone: string): Promise<string>;
}

/**
 * Finds an id once and stores it under `name`, so that another one that appears later does not take over; chooses again
 * only when the first one is gone.
 * @param find finds an id; when it rejects, the caller gets its error and nothing is stored
 */
export function chooseOnce(name: string, choices: Choices, find: () => Promise<string>): ChosenOnce {
  let found: Promise<string> | null = null;
  let replacing: Promise<string> | null = null;

  async function findAndStore(): Promise<string> {
    // Empty: what was chosen is gone, and nothing has replaced it yet.
    const stored = await choices.get(name);
    if (stored) return stored;
    const id = await find();
    await choices.set(name, id);
    return id;
  }

  function get(): Promise<string> {
    if (found) return found;
    const looking = findAndStore();
    found = looking;
    // Forget a failure, so that the next call tries again.
    looking.catch(() => {
      if (found === looking) found = null;
    });
    return looking;
  }

  async function chooseAnother(gone: string): Promise<string> {
    if ((await choices.get(name)) === gone) {
      await choices.set(name, '');
      found = null;
    }
    return get();
  }

  return {
    get,
    replace(gone) {
      replacing ??= chooseAnother(gone).finally(() => {
        replacing = null;
      });
      return replacing;
    },
  };
}
