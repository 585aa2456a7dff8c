import type { UserInput } from './history.ts';
import type { Json } from './types.ts';

/** What a turn begins with: one message, or all that waited. */
export interface TurnInput {
  readonly messages: readonly UserInput[];
  readonly clientIds: readonly string[];
  readonly options: Json;
  readonly actingUserId?: string;
}
