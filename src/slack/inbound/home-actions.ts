import { z } from 'zod';
import { makeToken } from '../../bridge/ids.ts';
import type { InboundAction } from '../../bridge/inbound.ts';
import { ACTION_IDS, AS_USUAL, NOTIFY_AFTER_ID } from '../render/action-ids.ts';
import { clickedElements } from './interactions.ts';

const homeAction = z.looseObject({
  type: z.literal('block_actions'),
  user: z.looseObject({ id: z.string().min(1), team_id: z.string().nullish() }),
  trigger_id: z.string(),
  view: z.looseObject({ type: z.literal('home') }),
  actions: clickedElements,
});

/** A click on the Home tab. */
export interface HomeAction {
  triggerId: string;
  what:
    | { kind: 'stop'; action: InboundAction }
    /** `ms`: 0 never, `null` as usual. */
    | { kind: 'notify_after'; user: string; ms: number | null };
}

/** Reads a click on our Home tab; `null`: it is none. */
export function readHomeAction(body: unknown, team: string): HomeAction | null {
  const parsed = homeAction.safeParse(body);
  if (!parsed.success) return null;
  const { user, trigger_id: triggerId, actions } = parsed.data;
  const [{ action_id, value, selected_option } = { action_id: '' }] = actions;
  if (action_id === NOTIFY_AFTER_ID) {
    const chosen = selected_option?.value ?? '';
    if (chosen !== AS_USUAL && !/^\d{1,9}$/.test(chosen)) return null;
    return {
      triggerId,
      what: { kind: 'notify_after', user: user.id, ms: chosen === AS_USUAL ? null : Number(chosen) },
    };
  }
  if (action_id !== ACTION_IDS.stop || !value) return null;
  const action: InboundAction = {
    name: 'stop',
    token: makeToken(value),
    choice: null,
    actor: { user: user.id, team: user.team_id ?? null },
    team,
    channel: '',
    messageTs: '',
    threadTs: null,
  };
  return { triggerId, what: { kind: 'stop', action } };
}
