import type { Json } from './types.ts';

/** What one model call does, in order. */
export type Act =
  | { readonly kind: 'think'; readonly text: string }
  | { readonly kind: 'say'; readonly text: string; readonly ms: number | null }
  | { readonly kind: 'tool'; readonly name: string; readonly input: Json }
  | { readonly kind: 'hang'; readonly ms: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'fail'; readonly status: number }
  /** So many tokens are in the model's context, as its usage tells. */
  | { readonly kind: 'context'; readonly tokens: number };

/** @param ms between two words; `null`: the usual pace */
export const say = (text: string, ms: number | null = null): Act => ({ kind: 'say', text, ms });
export const tool = (name: string, input: Json): Act => ({ kind: 'tool', name, input });
export const bash = (command: string, description: string): Act => tool('Bash', { command, description });
