import { z } from 'zod';
import { parseModelsPlace } from '../../bridge/ids.ts';
import type { InboundModelForm, InboundModels } from '../../bridge/inbound.ts';
import type { ModelScope } from '../../bridge/view/model-dialog.ts';
import { chosenInDialog } from '../modals/models-view.ts';
import { MODEL_SELECT, MODELS_DIALOG, MODELS_ID } from '../render/action-ids.ts';

const person = z.looseObject({ id: z.string().min(1), team_id: z.string().nullish() });
const option = z.looseObject({ value: z.string() });

/** A click on a button that opens the dialog of models: below a private message or on the Home tab. */
const click = z.looseObject({
  type: z.literal('block_actions'),
  user: person,
  trigger_id: z.string(),
  container: z.looseObject({ channel_id: z.string().nullish(), thread_ts: z.string().nullish() }),
  actions: z.array(z.looseObject({ action_id: z.literal(MODELS_ID), value: z.string() })).min(1),
});

/** A model is chosen in the dialog, which is not submitted yet. */
const pick = z.looseObject({
  type: z.literal('block_actions'),
  user: person,
  view: z.looseObject({ id: z.string(), hash: z.string(), private_metadata: z.string() }),
  actions: z.array(z.looseObject({ action_id: z.literal(MODEL_SELECT), selected_option: option })).min(1),
});

const filled = z.looseObject({ selected_option: option.nullish() });
const submission = z.looseObject({
  type: z.literal('view_submission'),
  user: person,
  view: z.looseObject({
    callback_id: z.literal(MODELS_DIALOG),
    private_metadata: z.string(),
    state: z.looseObject({ values: z.record(z.string(), z.record(z.string(), filled)) }),
  }),
});

export type ReadModels = { asked: InboundModels } & (
  | { kind: 'open'; triggerId: string; channel: string | null; threadTs: string | null }
  | { kind: 'pick'; view: { id: string; hash: string } }
);

/** Reads a click that is about the dialog of models; `null`: it is not. */
export function readModels(body: unknown, team: string): ReadModels | null {
  const clicked = click.safeParse(body).data;
  if (clicked) {
    const { user, trigger_id: triggerId, container, actions } = clicked;
    const about = parseModelsPlace(actions[0]?.value ?? '');
    if (about?.team !== team) return null;
    const asked = { about, actor: { user: user.id, team: user.team_id ?? null }, model: null };
    return {
      kind: 'open',
      asked,
      triggerId,
      channel: container.channel_id ?? null,
      threadTs: container.thread_ts ?? null,
    };
  }
  const picked = pick.safeParse(body).data;
  if (!picked) return null;
  const { user, view, actions } = picked;
  const about = parseModelsPlace(view.private_metadata);
  const model = actions[0]?.selected_option.value;
  if (about?.team !== team || model === undefined) return null;
  const asked = { about, actor: { user: user.id, team: user.team_id ?? null }, model };
  return { kind: 'pick', asked, view: { id: view.id, hash: view.hash } };
}

/** Reads the submitted dialog of models; `null`: it is another one. */
export function readModelForm(body: unknown, team: string): InboundModelForm | null {
  const parsed = submission.safeParse(body).data;
  if (!parsed) return null;
  const { user, view } = parsed;
  const about = parseModelsPlace(view.private_metadata);
  if (about?.team !== team) return null;
  const { model, effort, toolset, scope } = chosenInDialog(view.state.values);
  const known: ModelScope | null = scope === 'conversation' || scope === 'channel' ? scope : null;
  const choice = { model: model ?? '', effort, toolset, scope: known };
  return { about, actor: { user: user.id, team: user.team_id ?? null }, choice };
}
