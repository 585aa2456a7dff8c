import type { Metrics } from '../bridge/ports.ts';
import type { UsedTurn } from '../bridge/turn/steps.ts';

/** How many models are told apart; a further one counts as `other`. */
const MODELS = 50;

/** @returns counts the tokens of a turn that has ended, by model, and how full its context was */
export function countUseByModel(metrics: Metrics): (used: UsedTurn) => void {
  const models = new Set<string>();
  return ({ model, tokens, context, compactions }) => {
    metrics.count('turn_context', { percent: rangeOf(context) });
    if (compactions > 0) metrics.count('compactions', {}, compactions);
    if (!tokens) return;
    const name = (model ?? 'unknown').slice(0, 100);
    if (models.size < MODELS) models.add(name);
    const label = models.has(name) ? name : 'other';
    for (const kind of ['input', 'cached', 'output'] as const) {
      if (tokens[kind] > 0) metrics.count('tokens', { kind, model: label }, tokens[kind]);
    }
  };
}

/** People are told from 85 % on. */
function rangeOf(context: number | null): string {
  if (context === null) return 'unknown';
  return context < 50 ? '0-49' : context < 85 ? '50-84' : '85-100';
}
