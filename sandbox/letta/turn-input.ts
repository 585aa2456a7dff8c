import type { UserInput } from './history.ts';
import type { Outlet } from './outlet.ts';
import type { Json } from './types.ts';

/** What a turn begins with: one message, or all that waited. */
export interface TurnInput {
  readonly messages: readonly UserInput[];
  readonly clientIds: readonly string[];
  readonly options: Json;
  readonly actingUserId?: string;
  /** The connection that sent it. */
  readonly sender?: Outlet;
}
