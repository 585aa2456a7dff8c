import { z } from 'zod';
import { makeToken, type Token } from '../../bridge/ids.ts';
import type { InboundClick, InboundCommand, InboundForm } from '../../bridge/inbound.ts';
import { submittedChoices, submittedTexts } from '../modals/modals.ts';
import {
  ACTION_IDS,
  ANSWER_MENU,
  MORE_MENU,
  OPEN_ID,
  type ParsedActionId,
  parseActionId,
  parseCallbackId,
  parseMenuValue,
  parseMoreValue,
} from '../render/action-ids.ts';
import { channelKindOf } from './normalize.ts';

const person = z.looseObject({ id: z.string().min(1), team_id: z.string().nullish() });

/** The elements of a `block_actions` payload that were clicked: one, as far as is known. */
export const clickedElements = z
  .array(
    z.looseObject({
      action_id: z.string(),
      value: z.string().nullish(),
      selected_option: z.looseObject({ value: z.string() }).nullish(),
    }),
  )
  .min(1);

const blockActions = z.looseObject({
  type: z.literal('block_actions'),
  user: person,
  trigger_id: z.string(),
  container: z.looseObject({
    type: z.literal('message'),
    message_ts: z.string(),
    channel_id: z.string(),
    thread_ts: z.string().nullish(),
  }),
  message: z.looseObject({ thread_ts: z.string().nullish() }).nullish(),
  actions: clickedElements,
});

const option = z.looseObject({ value: z.string() });
const filledIn = z.looseObject({
  value: z.string().nullish(),
  selected_option: option.nullish(),
  selected_options: z.array(option).nullish(),
});

const viewSubmission = z.looseObject({
  type: z.literal('view_submission'),
  user: person,
  view: z.looseObject({
    callback_id: z.string(),
    private_metadata: z.string().min(1),
    state: z.looseObject({
      values: z.record(z.string(), z.record(z.string(), filledIn)),
    }),
  }),
});

const slashCommand = z.looseObject({
  text: z.string().nullish(),
  user_id: z.string().min(1),
  team_id: z.string().nullish(),
  channel_id: z.string().min(1),
  channel_name: z.string().nullish(),
});

/** A click inside one of our modals. Slack does not tell in which channel the modal was opened. */
const viewActions = z.looseObject({
  type: z.literal('block_actions'),
  user: person,
  trigger_id: z.string(),
  container: z.looseObject({ type: z.literal('view') }),
  view: z.looseObject({ id: z.string(), hash: z.string() }),
  actions: z.array(z.looseObject({ action_id: z.string(), value: z.string().nullish() })).min(1),
});

/** A click on one of our buttons, the trigger that may open a modal, and the modal (if any) that holds the button. */
export interface ReadAction {
  action: InboundClick;
  triggerId: string;
  view: { id: string; hash: string } | null;
}

const anyActions = z.looseObject({ actions: z.array(z.looseObject({ action_id: z.string() })) });

/** Whether a `block_actions` payload is only a click on a link, which Slack follows by itself. */
export function isLinkClick(body: unknown): boolean {
  return anyActions.safeParse(body).data?.actions[0]?.action_id === OPEN_ID;
}

/** Reads a `block_actions` payload; `null` when the click is not on one of our buttons. */
export function readAction(body: unknown, team: string): ReadAction | null {
  const parsed = blockActions.safeParse(body);
  if (!parsed.success) return readViewAction(body, team);
  const { user, container, message, actions, trigger_id } = parsed.data;
  const [clicked] = actions;
  const click = clicked && meaningOf(clicked);
  if (!click) return null;
  const { meaning, token } = click;
  const threadTs = container.thread_ts ?? message?.thread_ts ?? null;
  return {
    triggerId: trigger_id,
    view: null,
    action: {
      ...meaning,
      token,
      actor: { user: user.id, team: user.team_id ?? null },
      team,
      channel: container.channel_id,
      messageTs: container.message_ts,
      threadTs: threadTs === container.message_ts ? null : threadTs,
    },
  };
}

function readViewAction(body: unknown, team: string): ReadAction | null {
  const parsed = viewActions.safeParse(body);
  if (!parsed.success) return null;
  const { user, view, actions, trigger_id } = parsed.data;
  const [clicked] = actions;
  const meaning = clicked && parseActionId(clicked.action_id);
  // Buttons in our modals only turn pages; decisions are submissions. So every other action is ignored.
  if (!meaning || !PAGES.has(meaning.name) || !clicked?.value) return null;
  const actor = { user: user.id, team: user.team_id ?? null };
  const place = { channel: '', messageTs: '', threadTs: null };
  return {
    triggerId: trigger_id,
    view: { id: view.id, hash: view.hash },
    action: { ...meaning, token: makeToken(clicked.value), actor, team, ...place },
  };
}

const PAGES: ReadonlySet<string> = new Set(['details', 'view_page']);

interface Clicked {
  action_id: string;
  value?: string | null | undefined;
  selected_option?: { value: string } | null | undefined;
}

function meaningOf({ action_id, value, selected_option }: Clicked): { meaning: ParsedActionId; token: Token } | null {
  if (action_id === ANSWER_MENU) {
    const chosen = parseMenuValue(selected_option?.value ?? '');
    if (!chosen) return null;
    return { meaning: { name: 'answer', choice: { question: 0, options: [chosen.option] } }, token: chosen.token };
  }
  if (action_id === MORE_MENU || (action_id === ACTION_IDS.details && selected_option)) {
    const chosen = parseMoreValue(selected_option?.value ?? '');
    return chosen && { meaning: { name: chosen.name, choice: null }, token: chosen.token };
  }
  const meaning = parseActionId(action_id);
  return meaning && value ? { meaning, token: makeToken(value) } : null;
}

/** Reads a `view_submission`; `null` when the modal is not ours. */
export function readSubmission(body: unknown, team: string): InboundForm | null {
  const parsed = viewSubmission.safeParse(body);
  if (!parsed.success) return null;
  const { user, view } = parsed.data;
  const name = parseCallbackId(view.callback_id);
  if (!name) return null;
  return {
    name,
    token: makeToken(view.private_metadata),
    texts: submittedTexts(view.state.values),
    ...(name === 'answer_in_words' && { choices: submittedChoices(view.state.values) }),
    actor: { user: user.id, team: user.team_id ?? null },
    team,
  };
}

/**
 * Reads a slash command. Only people of the installing workspace can send one (docs/slack.md, Slack Connect and
 * Enterprise).
 */
export function readCommand(body: unknown, team: string): InboundCommand | null {
  const parsed = slashCommand.safeParse(body);
  if (!parsed.success) return null;
  const { text, user_id, team_id, channel_id, channel_name } = parsed.data;
  // Anybody may name a channel `directmessage`, so the name never makes it one: only names that grant nothing count.
  const kind = channel_name === 'privategroup' ? 'group' : channel_name?.startsWith('mpdm-') ? 'mpim' : null;
  return {
    text: text ?? '',
    actor: { user: user_id, team: team_id ?? null },
    team,
    channel: channel_id,
    channelKind: channelKindOf(channel_id, kind),
  };
}
