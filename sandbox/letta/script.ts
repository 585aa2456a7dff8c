import { type Act, bash, say, tool } from './acts.ts';
import { spokenWords } from './spoken.ts';
import { actsOfStory } from './stories.ts';
import type { Json, ModelMessage } from './types.ts';

const MARKDOWN =
  '# Title\n\n**bold** _it_ ~~gone~~ `code` [link](https://example.com) <@U1> & < >\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```ts\nconst x = 1 < 2;\n```\n';

/** A long answer as agents write it: headings, a list, a table, code. */
const REPORT = `## Nightly build

The nightly build is **red**. Two of the three platforms passed; on *windows* one test fails since yesterday evening.

| platform | tests | failed | minutes |
| :--- | ---: | ---: | ---: |
| linux | 1,204 | 0 | 6 |
| macos | 1,204 | 0 | 9 |
| windows | 1,198 | 1 | 14 |

The test that fails is \`store/lock.test.ts\`, "a second process waits, then refuses". It looks for the lock with a path that is joined by hand:

\`\`\`ts
// before
const lock = folder + '/' + name + '.lock';

// after
import { join } from 'node:path';

const lock = join(folder, \`\${name}.lock\`);
\`\`\`

What I would do next:

1. Join the path with \`node:path\`, as above.
2. Let the test make its own folder, so that two runs do not meet.
3. Run \`npm test -- store\` on windows again.

- [x] Read the log of the failed run
- [x] Found the commit that brought the line
- [ ] Fixed, once you agree

> The line came with a change that passed on linux, where both spellings mean the same.

Should I continue?`;

const REASONING: Act = { kind: 'think', text: 'First I look at the question. Then I decide.' };

const isDirective = (line: string) => RULES.some(([pattern]) => pattern.test(line.trim()));
const directivesIn = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(isDirective);
const hasDirective = ({ role, text }: ModelMessage) =>
  role === 'user' && directivesIn(spokenWords(text) ?? text).length > 0;
/** @param line how many words a line has; 0: all are in one */
function words(count: number, line = 0): string {
  const pause = (index: number) => (index === 0 ? '' : line > 0 && index % line === 0 ? '\n' : ' ');
  return Array.from({ length: count }, (_, index) => `${pause(index)}word${index + 1}`).join('');
}
const scriptedBash = (command: string): Act => bash(command, 'scripted command');

function split(whole: string, separator: string): [string, string] {
  const at = whole.indexOf(separator);
  if (at < 0) return [whole.trim(), ''];
  return [whole.slice(0, at).trim(), whole.slice(at + separator.length).trim()];
}

/** The pieces that a provider would stream one by one; joined they are the text. */
export function tokens(text: string): string[] {
  return text.match(/\s*\S+\s*$|\s*\S+/g) ?? [];
}

/**
 * What the scripted model answers to this history: the directives of the newest user message that has any, one per
 * model call, joined there by " THEN "; past the last one "Done: …" with the tool's result. A person who wrote something
 * else hears what the agent can do; what comes without the bridge's envelope is echoed.
 */
export function nextActs(messages: readonly ModelMessage[]): Act[] {
  const last = messages.findLastIndex((message) => message.role === 'user');
  const words = spokenWords(messages[last]?.text ?? '');
  if (words !== null && directivesIn(words).length === 0) return actsOfStory(words, messages.slice(last + 1));
  let from = messages.findLastIndex(hasDirective);
  if (from < last && !messages.slice(from + 1).some((message) => message.role === 'tool')) from = last;
  if (from < 0) from = last;
  const asked = messages[from]?.text ?? '';
  const line = directivesIn(spokenWords(asked) ?? asked).at(-1);
  const tail = messages.slice(from + 1);
  const done = tail.filter((message) => message.role === 'assistant').length;
  const directive = line?.split(' THEN ')[done];
  if (directive !== undefined) return acts(directive, messages);
  const end = tail.at(-1);
  if (end?.role === 'tool') return acts(`say: Done: ${end.text.slice(0, 200)}`, messages);
  return acts(`say: Echo: ${(messages[last]?.text ?? '').slice(-80)}`, messages);
}

type Rule = readonly [RegExp, (groups: readonly string[], messages: readonly ModelMessage[]) => Act[]];

const RULES: readonly Rule[] = [
  [/^error (\d+)/i, ([status]) => [{ kind: 'fail', status: Number(status) }]],
  [/^context (\d+)/i, ([tokens]) => [say(`now ${tokens} tokens`), { kind: 'context', tokens: Number(tokens) }]],
  [/^say (\d+) words/i, ([count]) => [say(words(Number(count)))]],
  [/^say:\s*([\s\S]*)/i, ([text = '']) => [say(text)]],
  [/^say (?!\d+ words)(.+)/i, ([text = '']) => [say(text)]],
  [
    /^slow (\d+) words(?: (\d+(?:\.\d+)?) ms)?(?: in lines of (\d+))?/i,
    ([count, ms, line]) => [say(words(Number(count), Number(line ?? 0)), Number(ms ?? 200))],
  ],
  [/^reason then (.*)/i, ([rest = ''], messages) => [REASONING, ...acts(rest, messages)]],
  [/^preface (.*?) :: (.*)/i, ([text = '', rest = ''], messages) => [say(text), ...acts(rest, messages)]],
  [/^markdown/i, () => [say(MARKDOWN)]],
  [/^report/i, () => [say(REPORT, 30)]],
  [/^run bash (.*)/i, ([command = '']) => [scriptedBash(command)]],
  [/^both (.*)/i, ([commands = '']) => commands.split(';;').map((command) => scriptedBash(command.trim()))],
  [/^read file (.*)/i, ([path]) => [tool('Read', { file_path: path })]],
  [/^write file (.*)/i, ([line = '']) => [write(line)]],
  [/^edit file (.*)/i, ([line = '']) => [edit(line)]],
  [/^ask (.*\|.*)/i, ([line = '']) => [ask(line)]],
  [/^call (\S+) (.*)/i, ([name = '', json = '']) => [call(name, json)]],
  [/^calls (.*)/i, ([lines = '']) => lines.split(';;').map((line) => call(...nameAndInput(line.trim())))],
  [/^count images/i, (_, messages) => [say(`I see ${countImages(messages)} image(s).`)]],
  [/^hang(?: (\d+) ms)?/i, ([ms]) => [{ kind: 'hang', ms: Number(ms ?? 600_000) }]],
  [/^drop/i, () => [say('this answer is cut', 20), { kind: 'cut' }]],
];

function acts(directive: string, messages: readonly ModelMessage[]): Act[] {
  for (const [pattern, make] of RULES) {
    const match = pattern.exec(directive);
    if (match) return make(match.slice(1), messages);
  }
  return [say(`Echo: ${directive}`)];
}

const countImages = (messages: readonly ModelMessage[]) => messages.reduce((sum, one) => sum + (one.images ?? 0), 0);

function nameAndInput(line: string): [string, string] {
  const [, name = '', json = ''] = /^(\S+) (.*)/.exec(line) ?? [];
  return [name, json];
}

function write(line: string): Act {
  const [path, content] = split(line, ':=');
  return tool('Write', { file_path: path, content: content.replaceAll('\\n', '\n') });
}

function edit(line: string): Act {
  const [path, change] = split(line, ':=');
  const [before, after] = split(change, '=>');
  return tool('Edit', { file_path: path, old_string: before, new_string: after, replace_all: false });
}

function ask(line: string): Act {
  const [question, ...labels] = line.split('|').map((part) => part.trim());
  const options = labels.map((label) => ({ label, description: `pick ${label}` }));
  return tool('AskUserQuestion', { questions: [{ question, header: 'Choice', multiSelect: false, options }] });
}

/** The real scripted model dies on arguments that are no JSON, and the server sees a cut connection. */
function call(name: string, json: string): Act {
  try {
    return tool(name, JSON.parse(json) as Json);
  } catch {
    return { kind: 'cut' };
  }
}
