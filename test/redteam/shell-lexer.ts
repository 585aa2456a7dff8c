/** One token of a shell command: an operator, or a word with its quotes as they are typed. */
export type Token = string;

const OPERATORS = [
  '<<<',
  '&>>',
  '<<',
  '>>',
  '&&',
  '||',
  ';;',
  '|&',
  '&>',
  '>|',
  '<>',
  '>&',
  '<&',
  ';',
  '&',
  '|',
  '<',
  '>',
];
const BLANK = /[ \t\r]/;

/**
 * A small lexer of the shell’s language, written without a look at the one that is tested: operators, line ends, the
 * borders of words, quotes, and each beginning and end of a substitution or group.
 */
export function lex(text: string): Token[] {
  const tokens: Token[] = [];
  /** What is open: a quote, `$(`, `${`, a backtick. */
  const open: string[] = [];
  let inWord = false;
  const word = () => {
    if (!inWord) tokens.push('word');
    inWord = true;
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    const inside = open.at(-1);
    if (inside === "'") {
      if (char === "'") tokens.push(`close ${open.pop()}`);
      continue;
    }
    if (char === '\\') {
      word();
      tokens.push(`\\${text.charAt(at + 1)}`);
      at += 1;
    } else if (char === '`') {
      word();
      if (inside === '`') tokens.push(`close ${open.pop()}`);
      else tokens.push(`open ${open[open.push('`') - 1]}`);
      inWord = true;
    } else if (char === '$') {
      word();
      const next = text.charAt(at + 1);
      tokens.push(`$${/[({'"A-Za-z0-9_@*#?$!-]/.test(next) ? next : ''}`);
      if (next === '(' || next === '{') {
        open.push(next);
        at += 1;
        inWord = false;
      }
    } else if (char === '"') {
      word();
      if (inside === '"') tokens.push(`close ${open.pop()}`);
      else tokens.push(`open ${open[open.push('"') - 1]}`);
    } else if (inside === '"') {
      if (/[\n!]/.test(char)) tokens.push(char);
    } else if (char === "'") {
      word();
      tokens.push(`open ${open[open.push("'") - 1]}`);
    } else if (char === '\n') {
      tokens.push('line end');
      inWord = false;
    } else if (BLANK.test(char)) {
      if (inWord) tokens.push('blank');
      inWord = false;
    } else if ((char === ')' && inside === '(') || (char === '}' && inside === '{')) {
      tokens.push(`close ${open.pop()}`);
      inWord = true;
    } else if (/[()]/.test(char)) {
      tokens.push(char);
      inWord = false;
    } else {
      const operator = OPERATORS.find((each) => text.startsWith(each, at));
      if (operator !== undefined) {
        tokens.push(operator);
        at += operator.length - 1;
        inWord = false;
      } else {
        word();
        if (/[{}[\]*?~!#=,/]/.test(char) || text.startsWith('..', at)) tokens.push(char);
      }
    }
  }
  return tokens;
}
