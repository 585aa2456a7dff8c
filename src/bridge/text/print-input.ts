import { writeJson } from './json.ts';

/** Hides secrets in one text of an input. @param name the field that holds it, or that holds the list that holds it */
export type CleanText = (text: string, name: string) => string;

/** Deeper values are printed on one line, because indenting them would take space in the square of their depth. */
const INDENTED = 20;

/**
 * Prints fields under their names: texts as they are, everything else as JSON. Each line of a text gets a mark, so that no
 * text can pose as another field. Nothing is left out, however deep it is.
 */
export function printFields(fields: readonly (readonly [string, unknown])[], clean: CleanText): string {
  return fields
    .map(([field, value]) => {
      const name = printName(clean(field, ''));
      if (typeof value !== 'string') return `${name}: ${printValue(value, field, clean)}`;
      const text = clean(value, field);
      if (!/[\n\r\u2028\u2029]/.test(text)) return `${name}: ${text}`;
      const lines = text.split(/\r\n|[\n\r\u2028\u2029]/).map((line) => `  │ ${line}`);
      return `${name}:\n${lines.join('\n')}`;
    })
    .join('\n');
}

function printName(field: string): string {
  return /^[\w.-]{1,80}$/.test(field) ? field : JSON.stringify(field);
}

/** JSON with an indent of two blanks. */
function printValue(root: unknown, rootName: string, clean: CleanText): string {
  return writeJson(root, rootName, {
    text: (text, name) => JSON.stringify(clean(text, name ?? '')),
    line: (depth) => (depth > INDENTED ? '' : `\n${'  '.repeat(depth)}`),
    colon: ': ',
    isSorted: false,
  });
}
