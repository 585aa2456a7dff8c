import { printableLine } from '../printable.ts';
import type { Terminal } from './terminal.ts';

/** A checked answer. With a `problem`, setup shows it and asks again. */
export type Checked<Value> = { value: Value } | { problem: string };

/** Asks until the answer is valid. @param fallback what Enter means; left out: Enter asks again */
export async function askUntil<Value>(
  terminal: Terminal,
  question: { text: string; secret?: boolean; fallback?: string },
  check: (answer: string) => Checked<Value> | Promise<Checked<Value>>,
): Promise<Value> {
  const { text, secret, fallback } = question;
  const shown = fallback === undefined || fallback === '' ? text : `${text} [${fallback}]`;
  for (;;) {
    const answer = (await terminal.ask(shown, secret)) || (fallback ?? '');
    if (answer === '' && fallback === undefined) continue;
    const checked = await check(answer);
    if ('value' in checked) return checked.value;
    terminal.say(`  ✗ ${printableLine(checked.problem)}`);
  }
}

/** Lets a person choose one option by its number. */
export async function chooseOne<Value>(
  terminal: Terminal,
  text: string,
  options: readonly { label: string; value: Value }[],
): Promise<Value> {
  options.forEach(({ label }, index) => {
    terminal.say(`  ${index + 1}  ${printableLine(label)}`);
  });
  return askUntil<Value>(terminal, { text, fallback: '1' }, (answer) => {
    const option = options[Number(answer) - 1];
    return option ? { value: option.value } : { problem: `a number from 1 to ${options.length}` };
  });
}

export function askYesOrNo(terminal: Terminal, text: string, fallback: 'yes' | 'no'): Promise<boolean> {
  return askUntil<boolean>(terminal, { text, fallback }, (answer) => {
    if (/^y(es)?$/i.test(answer)) return { value: true };
    return /^no?$/i.test(answer) ? { value: false } : { problem: 'yes or no' };
  });
}
