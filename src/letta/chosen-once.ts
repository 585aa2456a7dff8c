import type { Choices } from '../bridge/ports.ts';

export interface ChosenOnce {
  /** What was chosen before, else what is found now. */
  get(): Promise<string>;
  /** `gone` does not exist any more: what is chosen instead. Several who find that out at once get the same. */
  replace(gone: string): Promise<string>;
}

/**
 * Something that is found once and stored under `name`, so that another one that appears later does not take over; it
 * is let go only when it is gone.
 * @param find says its id; whatever it rejects with is told, and nothing is stored
 */
export function chooseOnce(name: string, choices: Choices, find: () => Promise<string>): ChosenOnce {
  let found: Promise<string> | null = null;
  let replacing: Promise<string> | null = null;

  async function findAndStore(): Promise<string> {
    // Empty: what was chosen is gone, and there was nothing else so far.
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
    // A failure is forgotten, so that the next one tries again.
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
