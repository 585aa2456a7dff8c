import type * as shapes from '../config/checks.ts';
import { BridgeError } from '../errors.ts';
import { printableLine } from '../printable.ts';
import { SlackError } from '../slack/api/slack-api.ts';
import type { SetupParts } from './parts.ts';
import { askUntil, type Checked } from './questions.ts';

/** Runs a setting's own check; problem and fix become one line. */
export function checkShape<Value>(shape: shapes.Check<Value>, answer: string): Checked<Value> {
  const parsed = shape.safeParse(answer);
  return parsed.success ? { value: parsed.data } : { problem: parsed.error.issues[0]?.message ?? 'is not valid' };
}

/**
 * Keeps a setting that works; asks for it only when it is missing or does not work.
 * @param verify tries a value; resolves with what it found, or with a problem
 */
export async function keepOrAsk<Value>(
  { terminal, files }: Pick<SetupParts, 'terminal' | 'files'>,
  name: string,
  question: { text: string; secret?: boolean; fallback?: string },
  verify: (text: string) => Promise<Checked<Value>>,
): Promise<Value> {
  const now = files.readEnv()[name];
  if (now) {
    const checked = await verify(now);
    if ('value' in checked) {
      terminal.say(`  ✓ ${name} is set and works: kept`);
      return checked.value;
    }
    terminal.say(`  ✗ ${name} is set, but ${printableLine(checked.problem)}`);
  }
  return askUntil(terminal, question, async (text) => {
    const checked = await verify(text);
    if ('value' in checked) files.writeEnv({ [name]: text === '' ? null : text });
    return checked;
  });
}

/** Runs `ask`; turns an error of Slack or Letta into a problem. */
export async function asProblem<Value>(ask: () => Promise<Checked<Value>>): Promise<Checked<Value>> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof SlackError) {
      return {
        problem:
          error.failure === 'refused'
            ? `Slack refuses it (${error.error})`
            : `this machine cannot reach Slack (${error.error})`,
      };
    }
    if (error instanceof BridgeError) return { problem: error.message };
    throw error;
  }
}
