import type { InputBlock, KnownBlock, ModalView, PlainTextOption, StaticSelect } from '@slack/types';
import { type ModelDialog, menuKey, OWN_MODEL } from '../../bridge/view/model-dialog.ts';
import { MODEL_SELECT, MODELS_DIALOG } from '../render/action-ids.ts';
import { MODEL_DIALOG, moreModelsText, providerText } from '../words/models.ts';
import { modalText, modalTitle } from './modal-text.ts';

/** docs/slack.md, Size limits, in UTF-16 units. */
const TEXT = 3_000;
const OPTION = 75;

const MODEL_BLOCK = 'bridge_model';
const EFFORT_BLOCK = 'bridge_effort';
const TOOLSET_BLOCK = 'bridge_toolset';
const SCOPE_BLOCK = 'bridge_scope';

/** `block_id` of the efforts of a model: another one for each, because Slack keeps what was chosen in a block of the same id. */
const effortBlock = (key: string) => `${EFFORT_BLOCK}:${key}`;

/** Names are foreign text, so all of it is plain text, which Slack does not parse. */
export function modelsView({ place, now, providers, more, chosen, toolsets, scopes }: ModelDialog): ModalView {
  const mayBeUsual = scopes.includes('channel');
  const groups = [
    ...(mayBeUsual ? [group(MODEL_DIALOG.usual, [option(MODEL_DIALOG.ownModel, OWN_MODEL)])] : []),
    ...providers.map(({ name, models }) =>
      group(
        providerText(name),
        models.map(({ key, handle }) => option(handle, key)),
      ),
    ),
  ];
  const usual = mayBeUsual && chosen === null ? OWN_MODEL : null;
  const blocks: KnownBlock[] = [
    ...(now === null ? [] : [line(now)]),
    {
      ...select(MODEL_BLOCK, MODEL_DIALOG.model, {
        type: 'static_select',
        action_id: MODEL_SELECT,
        placeholder: modalText(MODEL_DIALOG.pick, 150),
        option_groups: groups,
        ...initial(
          groups.flatMap(({ options }) => options),
          chosen?.key ?? usual,
        ),
      }),
      dispatch_action: true,
    },
    ...(more > 0 ? [line(moreModelsText(more))] : []),
    ...(chosen && chosen.efforts.length > 0 ? [efforts(chosen.key, chosen.efforts, chosen.effort)] : []),
    ...(toolsets ? [toolsetSelect(toolsets)] : []),
    ...(scopes.length > 1 ? [scopeSelect(scopes)] : []),
  ];
  return {
    type: 'modal',
    callback_id: MODELS_DIALOG,
    private_metadata: place,
    title: modalTitle(MODEL_DIALOG.title),
    submit: modalTitle(MODEL_DIALOG.submit),
    close: modalTitle('Cancel'),
    blocks,
  };
}

/** Shown while Letta is asked which models there are. */
export function modelsWaitingView(): ModalView {
  const title = modalTitle(MODEL_DIALOG.title);
  return { type: 'modal', title, close: modalTitle('Cancel'), blocks: [line(MODEL_DIALOG.wait)] };
}

/** The block at which what is wrong with a field is shown. @param model the key that was submitted */
export function modelErrorBlock(field: 'model' | 'effort', model: string): string {
  return field === 'model' ? MODEL_BLOCK : effortBlock(model);
}

/** What was chosen in each select of the dialog, by the part of its `block_id` before the colon. */
export function chosenInDialog(
  values: Readonly<
    Record<string, Readonly<Record<string, { selected_option?: { value: string } | null | undefined }>>>
  >,
): { model: string | null; effort: string | null; toolset: string | null; scope: string | null } {
  const of = (name: string) => {
    const [, actions] = Object.entries(values).find(([block]) => block.split(':')[0] === name) ?? [];
    return Object.values(actions ?? {})[0]?.selected_option?.value ?? null;
  };
  return { model: of(MODEL_BLOCK), effort: of(EFFORT_BLOCK), toolset: of(TOOLSET_BLOCK), scope: of(SCOPE_BLOCK) };
}

function efforts(key: string, all: readonly string[], chosen: string | null): InputBlock {
  const options = all.slice(0, 100).map((effort) => option(effort, menuKey(effort)));
  return select(effortBlock(key), MODEL_DIALOG.effort, {
    type: 'static_select',
    action_id: EFFORT_BLOCK,
    placeholder: modalText(MODEL_DIALOG.pickEffort, 150),
    options,
    ...initial(options, chosen === null ? null : menuKey(chosen)),
  });
}

function toolsetSelect({ chosen, options: all }: NonNullable<ModelDialog['toolsets']>): InputBlock {
  const options = all.slice(0, 100).map(({ id, name }) => option(name, menuKey(id)));
  return {
    ...select(TOOLSET_BLOCK, MODEL_DIALOG.toolset, {
      type: 'static_select',
      action_id: TOOLSET_BLOCK,
      placeholder: modalText(MODEL_DIALOG.asItIs, 150),
      options,
      ...initial(options, menuKey(chosen)),
    }),
    optional: true,
    hint: modalText(MODEL_DIALOG.toolsetHint, TEXT),
  };
}

function scopeSelect(scopes: ModelDialog['scopes']): InputBlock {
  const options = scopes.map((scope) => option(MODEL_DIALOG[scope], scope));
  return {
    type: 'input',
    block_id: SCOPE_BLOCK,
    label: modalText(MODEL_DIALOG.scope, TEXT),
    element: { type: 'radio_buttons', action_id: SCOPE_BLOCK, options, ...initial(options, scopes[0] ?? null) },
  };
}

function select(blockId: string, label: string, element: StaticSelect): InputBlock {
  return { type: 'input', block_id: blockId, label: modalText(label, TEXT), element };
}

function group(label: string, options: PlainTextOption[]) {
  return { label: modalText(label, OPTION), options };
}

/** @param value at most 75 characters */
function option(label: string, value: string): PlainTextOption {
  return { text: modalText(label, OPTION), value };
}

function initial(options: readonly PlainTextOption[], value: string | null): { initial_option?: PlainTextOption } {
  const found = options.find((each) => each.value === value);
  return found ? { initial_option: found } : {};
}

function line(text: string): KnownBlock {
  return { type: 'context', elements: [modalText(text, TEXT)] };
}
