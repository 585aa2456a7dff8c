import * as frames from './frames.ts';
import { type Json, type Runtime, text } from './types.ts';

/* The toolsets of Letta Code, as recorded (docs/letta-protocol.md, Toolsets). */

const option = (id: string, name: string, label: string, description: string): Json => ({
  id,
  display_name: name,
  label,
  description,
  is_featured: true,
});

export const TOOLSETS: readonly Json[] = [
  option('auto', 'Auto', 'Auto', 'Auto-select based on the model'),
  option('letta', 'Letta', 'Letta toolset', 'Experimental unified toolset for every model'),
  option('none', 'None', 'None', 'Empty built-in preset; keeps connected tools'),
  option(
    'default',
    'Claude',
    'Claude toolset',
    'Optimized for Anthropic models, recommended for all non-OpenAI models',
  ),
  option('codex', 'Codex', 'Codex toolset', 'Optimized for GPT/Codex models'),
];

/** What has a toolset. */
interface Bearer {
  readonly runtime: Runtime;
  readonly missing: string | null;
  /** What was chosen: `auto` or a name. */
  toolset: string;
  emitDelta(delta: Json): void;
  showLoop(): void;
  showDevice(): void;
}

const currentOf = (chosen: string) => (chosen === 'auto' ? 'default' : chosen);
const nameOf = (id: string) => String(TOOLSETS.find((each) => each.id === id)?.display_name);

/** The body of the answer; `null`: an unknown toolset has none. */
export function updateToolset(bearer: Bearer, preference: unknown): Json | null {
  const chosen = text(preference) ?? '';
  if (!TOOLSETS.some(({ id }) => id === chosen)) return null;
  const { runtime } = bearer;
  if (bearer.missing !== null) return { success: false, runtime, error: bearer.missing };
  bearer.toolset = chosen;
  const current = currentOf(chosen);
  bearer.emitDelta(
    frames.lifecycle('status', null, {
      message:
        chosen === 'auto'
          ? `Toolset mode set to auto (currently ${nameOf(current)}).`
          : `Switched toolset to ${nameOf(current)} (manual override).`,
      level: 'info',
    }),
  );
  bearer.showDevice();
  bearer.showLoop();
  return { success: true, runtime, current_toolset: current, current_toolset_preference: chosen };
}
