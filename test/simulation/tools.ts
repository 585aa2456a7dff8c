import { says, type ToolResult } from '../../src/bridge/tools/result.ts';
import type { ToolCall, ToolHandler, ToolHandlers } from '../../src/bridge/tools/tool.ts';
import { BridgeError } from '../../src/errors.ts';
import type { Life } from './life.ts';
import type { Chance } from './random.ts';
import type { Story } from './story.ts';

/** A call of a tool of the bridge, as Letta knows it; its emoji names it. */
export interface TruthCall {
  emoji: string;
  conversation: string;
  /** The first result that Letta took. */
  told: { text: string; isError: boolean } | null;
}

/** What tools of the bridge did in the world, over all lives of the bridge. */
export class SimTools {
  readonly #story: Story;
  readonly #chance: Chance;
  /** How often each emoji was added. */
  readonly effects = new Map<string, number>();

  constructor(story: Story, chance: Chance) {
    this.#story = story;
    this.#chance = chance;
  }

  /** A tool that takes its time, fails now and then, and does not know a second time from a first. */
  handlersFor(life: Life): ToolHandlers {
    const chance = this.#chance;
    const wait = (ms: number) => new Promise<void>((resolve) => void life.clock.after(ms, resolve));
    const react: ToolHandler<'slack_react'> = {
      prepare: async () => {
        await wait(chance.between(5, 300));
        return { may: 'run', seal: 'same' };
      },
      run: async ({ input }: ToolCall<'slack_react'>): Promise<ToolResult> => {
        await wait(chance.happens(0.1) ? chance.between(1_000, 20_000) : chance.between(5, 400));
        if (chance.happens(0.1)) throw new BridgeError('slack_failed', 'refused', { certain: true });
        this.effects.set(input.emoji, (this.effects.get(input.emoji) ?? 0) + 1);
        this.#story.addLine('tools', `adds ${input.emoji}`);
        await wait(chance.happens(0.3) ? chance.between(2_000, 40_000) : chance.between(5, 400));
        if (chance.happens(0.1)) throw new BridgeError('slack_failed', 'no answer', { certain: false });
        return says(`added ${input.emoji}`);
      },
      ...(chance.happens(0.5) && {
        recall: async ({ input }: ToolCall<'slack_react'>) =>
          this.effects.has(input.emoji) ? says(`added ${input.emoji}`) : null,
      }),
    };
    return { slack_react: react };
  }
}

/** What the model was told of each call is true, and none happened twice. */
export function judgeCalls(calls: readonly TruthCall[], { effects }: SimTools, story: Story): void {
  for (const { emoji, conversation, told } of calls) {
    const times = effects.get(emoji) ?? 0;
    if (times > 1) story.addViolation(`the call ${emoji} of ${conversation} was done ${times} times`);
    if (!told) continue;
    const isUnknown = told.text.includes('not known whether');
    if (!told.isError && times === 0) story.addViolation(`the call ${emoji} was told as done, and was not`);
    if (told.isError && !isUnknown && times > 0)
      story.addViolation(`the call ${emoji} was told as not done (${told.text}), and was`);
  }
}
