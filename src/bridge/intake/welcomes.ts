import type { Door } from '../access/door.ts';
import type { PolicyBook } from '../access/policy.ts';
import type { ChannelId, UserId } from '../ids.ts';
import type { InboundJoin } from '../inbound.ts';
import { helpText } from '../words/commands.ts';
import { notServedText, welcomeText } from '../words/welcome.ts';
import type { Notices } from './notices.ts';
import type { RecentKeys } from './recent-keys.ts';

export interface WelcomeParts {
  door: Door;
  policies: PolicyBook;
  notices: Notices;
  botUser: UserId;
  /** The channels that were welcomed. */
  welcomed: RecentKeys<ChannelId>;
}

/** Says how to begin in a channel that the bot was invited to: once, however often it is invited. */
export class Welcomes {
  readonly #parts: WelcomeParts;
  #loading: Promise<void> | null = null;

  constructor(parts: WelcomeParts) {
    this.#parts = parts;
  }

  /** Rejects when the disk fails or Slack does not tell what kind of channel it is. */
  async welcomeChannel(join: InboundJoin): Promise<'welcomed' | 'repeated' | 'refused'> {
    const { door, policies, notices, botUser, welcomed } = this.#parts;
    const { team, channel, inviter } = join;
    const address = { team, channel, threadTs: null };
    const verdict = await door.judgePlace(join);
    if (!verdict.allowed) {
      if (inviter !== null) notices.whisper(address, inviter, notServedText(verdict.notice, channel));
      return 'refused';
    }
    await this.#load();
    if (welcomed.has(channel)) return 'repeated';
    // Stored first, so that a crash costs a welcome rather than repeating one.
    await welcomed.storeKey(channel);
    notices.say(address, welcomeText(helpText(botUser), policies.current().prompts));
    return 'welcomed';
  }

  #load(): Promise<void> {
    this.#loading ??= this.#parts.welcomed.load().catch((error: unknown) => {
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }
}
