import type { VirtualClock } from './clock.ts';
import type { SimConversation } from './letta-conversation.ts';
import type { Chance } from './random.ts';
import type { Story } from './story.ts';

/**
 * Programs that use the conversations of threads, too: what they ask is run beside what people ask, and they may decide
 * what is asked then (docs/letta-protocol.md, Other clients of a conversation).
 */
export class SimClients {
  readonly isUsed: boolean;
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #story: Story;
  /** Conversations that one of them is connected to, and until when at least. */
  readonly #connected = new Map<SimConversation, number>();
  #count = 0;

  constructor(clock: VirtualClock, chance: Chance, story: Story) {
    this.#clock = clock;
    this.#chance = chance;
    this.#story = story;
    this.isUsed = chance.happens(0.2);
  }

  isConnected(conversation: SimConversation): boolean {
    return this.#connected.has(conversation);
  }

  /** One of them asks something, or decides what is asked. @param conversations those of threads */
  doSomething(conversations: readonly SimConversation[]): void {
    if (conversations.length === 0) return;
    const conversation = this.#chance.pickOne(conversations);
    if (this.#chance.happens(0.3)) {
      conversation.decideElsewhere(this.#chance.happens(0.7));
      return;
    }
    this.#count += 1;
    const hasId = this.#chance.happens(0.6);
    this.#connected.set(conversation, this.#clock.now() + this.#chance.between(1_000, 60_000));
    this.#story.addLine('client', `asks ask${this.#count}q in ${conversation.id}`);
    conversation.submitElsewhere(`prog-${this.#count}`, hasId, `ask${this.#count}q`);
  }

  /** Those that have nothing to do leave after a while; a turn of which nobody hears then ends. */
  leave(): void {
    for (const [conversation, until] of this.#connected) {
      if (this.#clock.now() < until) continue;
      this.#connected.delete(conversation);
      if (conversation.host.countListeners(conversation) === 0) conversation.dropTurn();
    }
  }
}
