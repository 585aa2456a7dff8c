import type { ModelInUse, PermissionMode, RuntimeRef } from '../bridge/agent-event.ts';
import type { Log } from '../bridge/ports.ts';
import { offersOf, type ToolName } from '../bridge/tools/catalogue.ts';
import { BridgeError } from '../errors.ts';
import { agentNotFound } from './hosted-api.ts';
import { modelOf } from './models.ts';
import type { FrameOf } from './protocol/incoming.ts';
import {
  changeDeviceState,
  conversationList,
  conversationUpdate,
  runtimeExternalToolsUpdate,
  runtimeStart,
  sync,
} from './protocol/outgoing.ts';
import { linkLost } from './requests.ts';
import type { Plan, Route } from './routes/route.ts';
import type { Session } from './session.ts';
import { isNotLocal } from './words/devices.ts';
import { modeNotConfirmedText, NOTICES } from './words/notices.ts';

const STARTS_WITHIN_MS = 30_000;
const SYNCS_WITHIN_MS = 10_000;
const REPLAYS_WITHIN_MS = 5_000;
const CHANGES_STATE_WITHIN_MS = 5_000;

/**
 * Starts the runtime over a fresh link, or syncs it where the device does not know `runtime_start`.
 * Rejects with a BridgeError: `agent_not_found`, `conversation_not_found`, or one that may be retried.
 */
export async function startRuntime(
  session: Session,
  route: Route,
  plan: Plan,
  wanted: WantedState,
  conversation: NewConversation,
): Promise<StartedRuntime> {
  const started = await tryRuntimeStart(session, route, plan, wanted, conversation);
  if (started) return started;
  const synced = await startBySync(session, route, plan);
  registerTools(session, synced.runtime, wanted.tools);
  return synced;
}

export interface StartedRuntime {
  runtime: RuntimeRef;
  /** Foreign text; `null`: the device does not tell it. */
  agentName: string | null;
  /** `null`: the device does not tell it. */
  model: ModelInUse | null;
  /** Id of the newest item of the conversation; `null`: it has none, or the device does not tell. */
  newestItem: string | null;
}

/** How the runtime must be before it gets input. */
export interface WantedState {
  mode: PermissionMode;
  /** An absolute path; `null`: the conversation's own. */
  workingDirectory: string | null;
  /** The tools that the bridge runs for it. */
  tools: readonly ToolName[];
}

const NAMES_WITHIN_MS = 10_000;

/** Gives a new conversation its title. Nobody waits for it: without it the conversation keeps the name it was made with. */
export function nameConversation(
  session: Pick<Session, 'ask'>,
  { conversationId }: RuntimeRef,
  title: string,
  log: Pick<Log, 'warn'>,
): void {
  const make = (requestId: string) => conversationUpdate(requestId, conversationId, title);
  session.ask('conversation_update_response', make, NAMES_WITHIN_MS).then(
    (answer) => {
      if (answer?.success !== true) log.warn({ conversation: conversationId }, 'Letta did not take a title');
    },
    // A lost link is reported elsewhere.
    () => {},
  );
}

/** How a new conversation is named, so that the next attempt finds it when the answer to this one does not come. */
export interface NewConversation {
  name: string;
  /** Whether an earlier attempt may have made it. */
  mayExist: boolean;
}

const LISTS_WITHIN_MS = 10_000;
/** More than are made at once. */
const LISTED = 100;

/** The conversation that an earlier attempt made; `null`: there is none, as far as Letta tells. */
async function findConversation(session: Session, agentId: string, name: string): Promise<string | null> {
  const list = (requestId: string) => conversationList(requestId, { agentId, limit: LISTED });
  const answer = await session.ask('conversation_list_response', list, LISTS_WITHIN_MS);
  return answer?.conversations?.find(({ summary }) => summary === name)?.id ?? null;
}

const REGISTERS_WITHIN_MS = 10_000;

/**
 * Registers the whole set of tools, over a link on which it may be gone. Nobody waits for the answer: frames of one link
 * keep their order, and an old device does not know this one.
 */
export function registerTools(session: Pick<Session, 'ask'>, runtime: RuntimeRef, tools: readonly ToolName[]): void {
  if (tools.length === 0) return;
  const make = (requestId: string) => runtimeExternalToolsUpdate(requestId, runtime, offersOf(tools));
  // A lost link is reported elsewhere, and registers anew.
  session.ask('runtime_external_tools_update_response', make, REGISTERS_WITHIN_MS).catch(() => {});
}

/**
 * Resolves when the device has replayed its state and reports the wanted permission mode and working directory: only
 * then may input be sent. Rejects with `mode_not_confirmed` or `directory_not_confirmed` otherwise.
 */
export async function confirmState(session: Session, runtime: RuntimeRef, wanted: WantedState): Promise<void> {
  const { mode, workingDirectory } = wanted;
  // On the relay the response can overtake the replay (docs/letta-protocol.md, Hosted: what the device tells the
  // relay).
  const hasReplayed = await session.waitUntil((now) => now.loop !== null && now.mode !== null, REPLAYS_WITHIN_MS);
  if (!hasReplayed) throw deviceSilent('the device did not replay its state');
  const isInDirectory = (now: { workingDirectory: string | null }) =>
    workingDirectory === null || samePath(now.workingDirectory ?? '', workingDirectory);
  const before = session.snapshot();
  if (before.mode === mode && isInDirectory(before)) return;
  const change = { mode, ...(workingDirectory !== null && { cwd: workingDirectory }) };
  session.send(changeDeviceState(runtime, change));
  if (await session.waitUntil((now) => now.mode === mode && isInDirectory(now), CHANGES_STATE_WITHIN_MS)) return;
  // If the directory does not exist, the device works in another one and reports no error (seen with 0.32.18).
  if (session.snapshot().mode === mode) {
    throw new BridgeError('directory_not_confirmed', 'the device does not work in the directory asked for', {
      notice: NOTICES.wrongDirectory,
    });
  }
  throw new BridgeError('mode_not_confirmed', `asked for ${mode}, the device runs ${session.snapshot().mode}`, {
    notice: modeNotConfirmedText(mode),
    retry: true,
  });
}

/** `null` when the device does not answer but may answer `sync`. */
async function tryRuntimeStart(
  session: Session,
  route: Route,
  plan: Plan,
  { mode, workingDirectory, tools }: WantedState,
  conversation: NewConversation,
): Promise<StartedRuntime | null> {
  const { agentId } = plan;
  let { conversationId } = plan;
  if (conversationId === null && conversation.mayExist)
    conversationId = await findConversation(session, agentId, conversation.name);
  if (conversationId === null) conversation.mayExist = true;
  const ask = route.syncAfterMs === null ? session.askPatiently : session.ask;
  const answer = await ask(
    'runtime_start_response',
    (requestId) =>
      runtimeStart({
        requestId,
        agent: { id: agentId },
        conversation: conversationId === null ? { create: { summary: conversation.name } } : { id: conversationId },
        mode,
        ...(workingDirectory !== null && { cwd: workingDirectory }),
        waitForReplay: true,
        clientInfo: { name: 'letta_slack_bridge', title: 'Slack bridge' },
        tools: offersOf(tools),
      }),
    route.syncAfterMs ?? STARTS_WITHIN_MS,
  );
  if (answer === null) {
    if (route.syncAfterMs === null) throw deviceSilent('no answer to runtime_start');
    return null;
  }
  if (answer.success === true && answer.runtime) {
    const runtime = { agentId: answer.runtime.agent_id, conversationId: answer.runtime.conversation_id };
    const model = modelOf(answer.conversation ?? null, answer.agent ?? null);
    const newestItem = answer.conversation?.in_context_message_ids?.at(-1) ?? null;
    return { runtime, agentName: answer.agent?.name ?? null, model, newestItem };
  }
  throw startRefused(answer, plan);
}

async function startBySync(session: Session, route: Route, plan: Plan): Promise<StartedRuntime> {
  const { agentId, conversationId } = plan;
  if (conversationId === null) throw deviceSilent('no answer to runtime_start');
  if (!(await route.conversationExists(conversationId))) throw conversationNotFound(conversationId);
  const runtime = { agentId, conversationId };
  const answer = await session.ask('sync_response', (requestId) => sync(requestId, runtime), SYNCS_WITHIN_MS);
  if (answer === null) throw deviceSilent('no answer to sync');
  return { runtime, agentName: null, model: null, newestItem: null };
}

function conversationNotFound(conversationId: string): BridgeError {
  return new BridgeError('conversation_not_found', `conversation ${conversationId} not found`, {
    notice: NOTICES.conversationGone,
  });
}

/** The one place that reads the wording of a refused `runtime_start` (docs/letta-protocol.md, runtime_start). */
function startRefused(answer: FrameOf<'runtime_start_response'>, plan: Plan): BridgeError {
  const error = answer.error ?? '';
  if (/^Agent \S+ not found/i.test(error)) return agentNotFound(plan.agentId);
  if (/^Conversation \S+ not found/i.test(error)) return conversationNotFound(plan.conversationId ?? 'new');
  return new BridgeError('letta_refused', `runtime_start was refused: ${error.slice(0, 300)}`, {
    notice: isNotLocal(error) ? NOTICES.notLocal : NOTICES.startRefused,
    retry: true,
  });
}

function deviceSilent(why: string): BridgeError {
  return new BridgeError('letta_unreachable', why, {
    notice: NOTICES.silent,
    retry: true,
    cause: linkLost({ certain: false }),
  });
}

function samePath(a: string, b: string): boolean {
  return a.replace(/(.)[\\/]+$/, '$1') === b.replace(/(.)[\\/]+$/, '$1');
}
