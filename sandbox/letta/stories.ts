import { type Act, bash, say, tool } from './acts.ts';
import type { ModelMessage } from './types.ts';

/** What the agent does in one model call, once it has the result of what it did in the last one. */
type StoryStep = (words: string, result: string) => Act[];

const GUIDE = `I am the scripted agent of the sandbox. I know no answers, but I can

- answer \`is the nightly build green?\`, after you let me look
- say: \`say hello\`, or \`report\` for a long answer
- run: \`run bash touch hello.txt\`
- write: \`write file poem.txt := roses are red\`
- ask: \`ask Which color? | Red | Blue\`

Nothing of it leaves your machine.`;

const NIGHTLY_ANSWER = `No, it is **red** since last night. Linux and macOS passed; on Windows one test fails:

- \`store/lock.test.ts\`: a second process waits, then refuses

It joins the path of the lock by hand, with \`/\`. Should I fix it? Then say \`fix it\`.`;

const FIXED = `import { join } from 'node:path';

export const lockPath = (folder: string, name: string) => join(folder, \`\${name}.lock\`);
`;

/** What people may say in their own words: when it fits, and what the agent then does, one model call after another. */
const STORIES: readonly (readonly [pattern: RegExp, steps: readonly StoryStep[]])[] = [
  [
    /\bnightly\b/i,
    [
      () => [say('Looking at it.'), bash('./ci status --last', 'Shows how the last nightly build went')],
      (_, result) => [say(result.includes('windows') ? NIGHTLY_ANSWER : 'Then I cannot know. Ask me again any time.')],
    ],
  ],
  [
    /^(?:yes\b.*|(?:please )?fix it\b.*)$/i,
    [
      () => [tool('Write', { file_path: 'store/lock.ts', content: FIXED })],
      (_, result) => [
        say(
          /^Successfully/.test(result)
            ? 'Done: the path is joined by `node:path` now. The next nightly build should be green.'
            : 'All right, I leave it as it is.',
        ),
      ],
    ],
  ],
  [/^(?:many )?(?:thanks|thank you|thx)\b/i, [() => [say('You are welcome.')]]],
];

/**
 * What the agent does after words that are not a directive.
 * @param since what the conversation has after these words: the agent's own turns and the results of its tools
 */
export function actsOfStory(words: string, since: readonly ModelMessage[]): Act[] {
  const steps = STORIES.find(([pattern]) => pattern.test(words))?.[1];
  const done = since.filter(({ role }) => role === 'assistant').length;
  const step = steps?.[done];
  if (step) return step(words, since.findLast(({ role }) => role === 'tool')?.text ?? '');
  return [say(`${GUIDE} You wrote: “${words.slice(0, 300) || '(nothing)'}”`)];
}
