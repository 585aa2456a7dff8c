import { type Backoff, backoffMs } from '../backoff.ts';
import type {
  AgentEvent,
  CommandEnd,
  ConnectionEvent,
  Decision,
  HistoryItem,
  ModelInUse,
  StoredRuntime,
} from '../bridge/agent-event.ts';
import type { AgentConnection, Clock, ConnectOptions, Log, Random, Timer } from '../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../errors.ts';
import { compactConversation } from './compact.ts';
import { askForFile, type FileLink, whyNotAsked } from './device-file.ts';
import { forkConversation } from './fork.ts';
import { confirmState, type NewConversation, nameConversation, registerTools, startRuntime } from './handshake.ts';
import { createPageReader } from './history-pages.ts';
import { type LaneDialer, lossReason } from './link/lane.ts';
import { applyChoices } from './models.ts';
import type { FrameOf } from './protocol/incoming.ts';
import {
  abortMessage,
  approvalResponse,
  changeDeviceState,
  conversationMessagesList,
  createMessage,
  executeCommand,
  externalToolCallResponse,
  monitorStop,
  type OutgoingFrame,
  readFile,
  removeQueueItem,
  resumeQueue,
  sync,
  wireContent,
  writeFile,
} from './protocol/outgoing.ts';
import { type Ask, linkLost } from './requests.ts';
import type { Plan, Route } from './routes/route.ts';
import { readHistory } from './runtime/history.ts';
import { initialRuntime } from './runtime/runtime.ts';
import { alignSchedules, runSchedule } from './schedules.ts';
import { openSession, type RuntimeMachine, type Session } from './session.ts';
import { type SilenceWatch, watchSilence } from './silence-watch.ts';
import type { Place, StartLine } from './start-line.ts';
import { visit } from './visit.ts';
import { agentGoneText, NOTICES } from './words/notices.ts';

export interface ConnectionParts {
  route: Route;
  dial: LaneDialer;
  /** Shared by all connections: how many start at a time. */
  line: StartLine;
  clock: Clock;
  random: Random;
  log: Log;
}

type Stage =
  /** Making the plan, waiting in line, dialling or shaking hands; `session` is set once we dial. */
  | { name: 'connecting'; session: Session | null; place: Place | null }
  | { name: 'ready'; session: Session; since: number; watch: SilenceWatch | null }
  | { name: 'waiting'; stop(): void }
  /** The last error will not go away by retrying. */
  | { name: 'stuck'; error: BridgeError }
  | { name: 'closed' };

type Input = Parameters<AgentConnection['submit']>[0];

const ANSWERS_WITHIN_MS = 10_000;
/** How long others wait for the first words of a new conversation. A model may take longer, without costing the server. */
const FIRST_TURN_MS = 500;
/** Full jitter: when Letta comes back, not all threads dial at once. */
const RECONNECT: Backoff = { firstMs: 500, longestMs: 30_000, spread: [0, 1] };
/** A link that lasted this long resets the backoff, so that the next loss is dialled again at once. */
const GOOD_LINK_MS = 10_000;
/**
 * Events of the replay that `ready` already contains. They are dropped: as repeats, or as outdated if the attempt
 * fails.
 */
const TOLD_WITH_READY: ReadonlySet<AgentEvent['type']> = new Set([
  'loop',
  'queue',
  'device',
  'approval-asked',
  'approvals-open',
  'background',
]);
const ENDS_WITHIN_MS = 5_000;
/** For frames of several MiB. */
const TAKES_FILES_WITHIN_MS = 60_000;
/** Commands of a device do what they like. */
const COMMANDS_WITHIN_MS = 3 * 60_000;
const READS_FILES_WITHIN_MS = 10_000;
const MOST_EARLY_EVENTS = 5_000;
/** For one page. */
const HISTORY_WITHIN_MS = 5_000;
/** More than the messages of one turn, so that all its missing text is among them. */
const HISTORY_TO_REPAIR = 50;

/** One runtime over as many links as it takes. {@link AgentConnection} says what it promises. */
export function createConnection(
  parts: ConnectionParts,
  options: ConnectOptions,
  onEvent: (event: AgentEvent | ConnectionEvent) => void,
): AgentConnection {
  const { route, dial, line, clock, random, log } = parts;
  const { mode, binding = null } = options;
  const wanted = { mode, workingDirectory: binding?.workingDirectory ?? null, tools: options.tools ?? [] };
  let stage: Stage = { name: 'connecting', session: null, place: null };
  let runtime: StoredRuntime | null = options.runtime;
  let machine: RuntimeMachine | null = null;
  /** Events from before the handshake was done, also of failed attempts: emitted after the next `ready`. */
  const earlyEvents: AgentEvent[] = [];
  let agentName: string | null = null;
  let model: ModelInUse | null = null;
  let notice: string | null = null;
  /** Whether the conversation is new, so that what the place has chosen for new ones is still to be applied. */
  const isFresh = () => options.runtime === null && !wasEverReady;
  let newestItem: string | null = null;
  let failureCount = 0;
  let wasEverReady = false;
  /** An input was sent, and its turn has not ended. */
  let hasUnfinishedInput = false;
  /** The agent that Letta no longer has, after another one was chosen in its place. */
  let replacedAgent: string | null = null;
  let newConversation: NewConversation | null = null;
  /** The place in line that is kept until the first turn begins. */
  let kept: { place: Place; timer: Timer } | null = null;

  /** Told when a command of the device that runs is over, by its name. */
  const ended = new Map<string, (end: CommandEnd) => void>();

  const emitEvent = (event: AgentEvent | ConnectionEvent) => {
    if (stage.name === 'closed') return;
    if (event.type === 'command-ended') ended.get(event.command)?.(event);
    if (event.type === 'turn-ended' || event.type === 'lost') hasUnfinishedInput = false;
    if (event.type === 'text' || event.type === 'turn-ended' || event.type === 'lost') leavePlace();
    try {
      onEvent(event);
    } catch (err) {
      log.error({ err, event: event.type }, 'a listener of the connection failed');
    }
  };

  /** The first turn costs the server as much as the start, so it begins before the next runtime is started. */
  const keepPlace = (place: Place | null) => {
    if (place) kept = { place, timer: clock.after(FIRST_TURN_MS, leavePlace) };
  };

  const leavePlace = () => {
    kept?.timer.cancel();
    kept?.place.leave();
    kept = null;
  };

  const connect = async () => {
    const isNew = runtime === null;
    const attempt: Stage = { name: 'connecting', session: null, place: null };
    stage = attempt;
    let isLinkGone = false;
    try {
      let plan = await route.makePlan(runtime, binding);
      if (stage !== attempt) return;
      const machine = rememberPlan(plan);
      attempt.place = line.enter(plan.deviceId, (place) => emitEvent({ type: 'in-line', place }));
      await attempt.place.isNext;
      if (stage !== attempt) return;
      if (attempt.place.hadToWait) {
        emitEvent({ type: 'in-line', place: null });
        // What it is to dial may have changed meanwhile.
        plan = await route.makePlan(runtime, binding);
        if (stage !== attempt) return;
      }
      const requestPrefix = random.id();
      newConversation ??= { name: `${options.title ?? 'Slack thread'} ${requestPrefix.slice(0, 12)}`, mayExist: false };
      const opened = Promise.withResolvers<void>();
      const session = openSession(
        {
          endpoints: plan.endpoints,
          isOrdered: route.isOrdered,
          dial,
          clock,
          log,
          requestPrefix,
          machine,
          fetchHistory: (ask) => fetchHistory(ask, HISTORY_TO_REPAIR),
        },
        {
          onOpen: () => opened.resolve(),
          onEvent(event) {
            if (stage.name === 'ready') emitEvent(event);
            else if (earlyEvents.length < MOST_EARLY_EVENTS && !TOLD_WITH_READY.has(event.type))
              earlyEvents.push(event);
          },
          onLost(loss) {
            isLinkGone = true;
            opened.reject(route.unreachable(loss));
            lost(session, lossReason(loss));
          },
        },
      );
      attempt.session = session;
      await opened.promise;
      const started = await startRuntime(session, route, plan, wanted, newConversation);
      runtime = { ...started.runtime, deviceId: plan.deviceId };
      agentName = started.agentName ?? agentName;
      model = started.model;
      notice = null;
      if (isFresh() && options.title !== undefined) nameConversation(session, runtime, options.title, log);
      const isChosen = binding?.model !== undefined || binding?.toolset !== undefined;
      if (isFresh() && isChosen) ({ model, notice } = await applyChoices(session.ask, runtime, binding, model));
      newestItem = started.newestItem;
      await confirmState(session, runtime, wanted);
      if (stage !== attempt) return;
      if (isLinkGone) throw linkLost({ certain: true });
      stage = { name: 'ready', session, since: clock.monotonic(), watch: startSilenceWatch(session) };
      emitReady(session, runtime, plan);
      for (const event of earlyEvents.splice(0)) emitEvent(event);
    } catch (error) {
      if (stage !== attempt) return;
      attempt.session?.close();
      const failure = await replaceMissingAgent(asBridgeError(error));
      if (stage !== attempt) return;
      if (failure === null) return void connect();
      handleFailure(failure);
    } finally {
      if (isNew && stage.name === 'ready') keepPlace(attempt.place);
      else attempt.place?.leave();
    }
  };

  /**
   * If the bridge itself chose an agent that is gone, it chooses another one for a new conversation at once. An agent
   * that is configured, or bound to the channel, is for people to correct.
   * @returns the error to report; `null`: another agent was chosen, connect again
   */
  const replaceMissingAgent = async (error: BridgeError): Promise<BridgeError | null> => {
    const { agent } = error;
    if (error.code !== 'agent_not_found' || agent === null) return error;
    if (options.runtime !== null || wasEverReady) return agentGone(agent, 'thread', route);
    if (binding?.agentId) return agentGone(agent, 'channel', route);
    if (replacedAgent !== null) return error;
    try {
      if ((await route.replaceAgent(agent)) === null) return agentGone(agent, 'setting', route);
    } catch (failure) {
      return asBridgeError(failure);
    }
    replacedAgent = agent;
    runtime = null;
    machine = null;
    newConversation = null;
    return null;
  };

  /**
   * Keeps the conversation of a plan for the next attempt, because otherwise each failed attempt would leave one
   * behind.
   */
  const rememberPlan = ({ agentId, conversationId, deviceId }: Plan): RuntimeMachine => {
    if (conversationId !== null) runtime ??= { agentId, conversationId, deviceId };
    machine ??= { state: initialRuntime(runtime) };
    return machine;
  };

  const emitReady = (session: Session, ref: StoredRuntime, plan: Plan) => {
    const now = session.snapshot();
    const reconnected = wasEverReady;
    wasEverReady = true;
    const page = route.webPage(ref);
    log.info({ reconnected, mode: now.mode, loop: now.loop, device: plan.deviceName }, 'connected to the runtime');
    emitEvent({
      type: 'ready',
      runtime: ref,
      ...(agentName !== null && { agentName }),
      ...(model !== null && { model }),
      ...(newestItem !== null && { newestItem }),
      ...(page !== null && { page }),
      deviceName: plan.deviceName,
      workingDirectory: now.workingDirectory,
      ...(now.toolsets && { toolsets: now.toolsets }),
      ...(now.offers && { offers: now.offers }),
      ...(notice !== null && { notice }),
      loop: now.loop ?? 'idle',
      ...(now.isUsingTool && { isUsingTool: true }),
      activeRunIds: now.activeRunIds,
      clientMessageIdsByRun: now.clientMessageIdsByRun,
      ...(now.queued.length > 0 && { queued: now.queued.map(({ clientMessageId }) => clientMessageId) }),
      ...(now.paused.length > 0 && { paused: [...now.paused] }),
      approvals: now.approvals,
      reconnected,
      ...(replacedAgent !== null && { replacedAgent }),
    });
    replacedAgent = null;
    emitEvent({ type: 'background', tasks: [...now.background] });
  };

  const lost = (session: Session, reason: string) => {
    if (stage.name !== 'ready' || stage.session !== session) return;
    if (clock.monotonic() - stage.since >= GOOD_LINK_MS) failureCount = 0;
    stage.watch?.stop();
    const delay = route.watchReturn === null ? nextDelay() : 0;
    log.warn({ reason, delay }, 'lost the link to the runtime');
    stage = wait(delay);
    emitEvent({ type: 'lost', reason });
  };

  const handleFailure = (error: BridgeError) => {
    const { code, notice, device } = error;
    const retryInMs = error.retry ? nextDelay() : null;
    log.warn({ code, err: error, retryInMs }, 'the runtime is not available');
    stage = retryInMs === null ? { name: 'stuck', error } : wait(retryInMs);
    emitEvent({ type: 'unavailable', code, notice, retryInMs, ...(device !== null && { device }) });
  };

  /** Connects again after that time, or as soon as the device has dialled in. */
  const wait = (ms: number): Stage => {
    const end = () => {
      waiting.stop();
      if (stage === waiting) void connect();
    };
    const timer = clock.after(ms, end);
    const unwatch = route.watchReturn?.(runtime, end);
    const waiting: Stage & { name: 'waiting' } = {
      name: 'waiting',
      stop() {
        timer.cancel();
        unwatch?.();
      },
    };
    return waiting;
  };

  const nextDelay = () => {
    failureCount += 1;
    return backoffMs(RECONNECT, failureCount, random.next());
  };

  /** The live session and its runtime. Throws when there is none. */
  const requireSession = (): { session: Session; ref: StoredRuntime } => {
    if (stage.name === 'ready' && runtime !== null) return { session: stage.session, ref: runtime };
    throw stage.name === 'stuck' ? stage.error : linkLost({ certain: true });
  };

  /**
   * Asks over the live link. If no answer comes, nor anything else for so long, the link is closed: a caller that gets `link_lost` may rely on `lost`
   * and a later `ready`, which tells what really happened.
   */
  const request = async <Answer>(ask: (session: Session, ref: StoredRuntime) => Promise<Answer | null>) => {
    const { session, ref } = requireSession();
    const answer = await ask(session, ref);
    if (answer !== null) return answer;
    giveUpLink(session, 'could not answer a request');
    throw linkLost({ certain: false });
  };

  /** Older servers do not know all of these requests, so the link stays open when one is not answered. */
  const requestEnd = <Type extends 'monitor_stop_response' | 'abort_message_response'>(
    response: Type,
    make: (requestId: string, ref: StoredRuntime) => OutgoingFrame,
  ) => {
    const { session, ref } = requireSession();
    return session.ask(response, (requestId) => make(requestId, ref), ENDS_WITHIN_MS);
  };

  const giveUpLink = (session: Session, reason: string) => {
    session.close();
    lost(session, reason);
  };

  const syncRuntime = async () => {
    await request((session, ref) =>
      session.askPatiently('sync_response', (requestId) => sync(requestId, ref), ANSWERS_WITHIN_MS),
    );
    keepTools();
  };

  /** Where other clients of the device replace the set of tools: registers ours again. */
  const keepTools = () => {
    if (route.sharesTools && stage.name === 'ready' && runtime) registerTools(stage.session, runtime, wanted.tools);
  };

  const startSilenceWatch = (session: Session): SilenceWatch | null => {
    if (route.isOrdered) return null;
    const isTurnOpen = () => hasUnfinishedInput || session.snapshot().isTurnOpen;
    const onMissedFrames = () => giveUpLink(session, 'frames of the turn were lost');
    return watchSilence({ clock, session, isTurnOpen, sync: syncRuntime, onMissedFrames });
  };

  const overOwnLink = async <Answer>(run: (ask: Ask) => Promise<Answer>): Promise<Answer> => {
    const { endpoints } = await route.makePlan(runtime, binding);
    return visit({ endpoints, dial, clock, random, log, unreachable: route.unreachable }, run);
  };

  const readPages = createPageReader(route.isOrdered);

  const fetchHistory = async (ask: Ask, limit: number): Promise<HistoryItem[]> => {
    if (runtime === null) return [];
    const { conversationId } = runtime;
    const items = await readPages(limit, async (query) => {
      const answer = await ask(
        'conversation_messages_list_response',
        (requestId) => conversationMessagesList(requestId, conversationId, query),
        HISTORY_WITHIN_MS,
      );
      if (answer?.success !== true || !answer.messages) return null;
      return { messages: answer.messages, before: answer.has_more === false ? null : (answer.next_before ?? null) };
    });
    if (items !== null) return items;
    const messages = await route.listMessages(conversationId, limit);
    if (messages !== null) return readHistory(messages);
    throw new BridgeError('letta_unreachable', 'Letta did not answer with the history', {
      notice: NOTICES.silent,
      retry: true,
    });
  };

  queueMicrotask(() => {
    if (stage.name !== 'closed') void connect();
  });

  const sendInput = ({ clientMessageId, content, tools }: Input, isFirst: boolean) => {
    const hasImages = typeof content !== 'string';
    return request((session, ref) => {
      keepTools();
      // What joins a running turn begins none.
      if (isFirst) session.noteSubmission();
      return session.askPatiently(
        'input_accepted',
        (requestId) =>
          createMessage({
            requestId,
            runtime: ref,
            messages: [{ content: wireContent(content), clientMessageId }],
            tools,
            ...(hasImages && { imageFailureMode: 'drop' }),
          }),
        hasImages ? TAKES_FILES_WITHIN_MS : ANSWERS_WITHIN_MS,
      );
    });
  };

  return {
    async submit(input) {
      hasUnfinishedInput = stage.name === 'ready';
      const answer = await sendInput(input, true);
      if (answer.accepted) return;
      hasUnfinishedInput = false;
      throw inputRefused(answer.error ?? '');
    },
    async join(input) {
      const answer = await sendInput(input, false);
      if (!answer.accepted) throw inputRefused(answer.error ?? '');
    },
    async withdraw(clientMessageId) {
      const { session, ref } = requireSession();
      const item = session.snapshot().queued.find((queued) => queued.clientMessageId === clientMessageId);
      if (!item) return false;
      const remove = (requestId: string) => removeQueueItem(requestId, ref, item.id);
      const answer = await session.ask('remove_queue_item_response', remove, ENDS_WITHIN_MS);
      // Letta may have taken it out all the same.
      if (answer === null) throw linkLost({ certain: false });
      return answer.success === true;
    },
    async resumeQueue() {
      const { session, ref } = requireSession();
      const resume = (requestId: string) => resumeQueue(requestId, ref);
      const answer = await session.ask('resume_queue_response', resume, ENDS_WITHIN_MS);
      if (answer === null) throw linkLost({ certain: false });
    },
    async answer(requestId: string, decision: Decision) {
      const answer = await request((session, ref) =>
        session.askPatiently(
          'input_accepted',
          (id) => approvalResponse({ requestId: id, runtime: ref, approvalId: requestId, decision }),
          ANSWERS_WITHIN_MS,
        ),
      );
      if (answer.accepted) return 'accepted';
      // Only the wording tells this from a refusal (docs/letta-protocol.md, approval_response).
      if (/no longer pending/i.test(answer.error ?? '')) return 'gone';
      throw inputRefused(answer.error ?? '');
    },
    answerCall(requestId, result) {
      if (stage.name !== 'ready') return false;
      stage.session.send(externalToolCallResponse(requestId, result));
      return true;
    },
    async abort() {
      const answer = await request((session, ref) =>
        session.askPatiently('abort_message_response', (requestId) => abortMessage(requestId, ref), ANSWERS_WITHIN_MS),
      );
      return { aborted: answer.aborted === true };
    },
    async endTask({ kind, process, runtime: own }) {
      if (kind === 'monitor' && process !== null) {
        const stop = (requestId: string, ref: StoredRuntime) => monitorStop(requestId, ref, process);
        const answer = await requestEnd('monitor_stop_response', stop);
        return { ended: answer?.stopped === true };
      }
      if (kind !== 'subagent' || own === null) return { ended: false };
      // A cloud device runs a subagent in its own runtime, which we can abort; elsewhere it is a process out of our
      // reach.
      const answer = await requestEnd('abort_message_response', (requestId) => abortMessage(requestId, own));
      return { ended: answer?.aborted === true };
    },
    async writeFile(path, content) {
      const { session } = requireSession();
      const make = (requestId: string) => writeFile(requestId, path, content);
      const answer = await session.ask('write_file_response', make, TAKES_FILES_WITHIN_MS);
      return answer?.success === true;
    },
    async readFile(path) {
      const { session } = requireSession();
      const answer = await session.ask('read_file_response', (id) => readFile(id, path), READS_FILES_WITHIN_MS);
      return answer?.success === true ? (answer.content ?? null) : null;
    },
    async readBytes(path, told) {
      const { session } = requireSession();
      const link: FileLink = route.hasOwnLinkForFiles ? 'own' : 'of-the-turn';
      const refused = whyNotAsked(link, told);
      if (refused !== null) return refused;
      const read = (ask: Ask) => askForFile(ask, path, link, told);
      const file = await (link === 'own' ? overOwnLink(read) : read(session.ask));
      if (file === null) throw fileUnanswered();
      return file;
    },
    alignSchedules: (wanted, orphan) => request((session, ref) => alignSchedules(session.ask, ref, wanted, orphan)),
    async runSchedule(id) {
      return (await request((session) => runSchedule(session.ask, id))) === 'queued';
    },
    settle: syncRuntime,
    restoreMode() {
      if (stage.name === 'ready' && runtime) stage.session.send(changeDeviceState(runtime, { mode }));
    },
    async compact() {
      const { session, ref } = requireSession();
      return compactConversation(session.ask, ref);
    },
    async runCommand(command, args) {
      const { session, ref } = requireSession();
      // Letta answers a command of the device only by the end of it, and refuses what it does not know by an answer, too.
      const { promise, resolve } = Promise.withResolvers<CommandEnd>();
      ended.set(command, resolve);
      const make = (requestId: string) => executeCommand(requestId, ref, command, args);
      try {
        const asked = session.ask('execute_command_response', make, COMMANDS_WITHIN_MS);
        const answer = await Promise.race([
          promise,
          asked.then((answer) => (answer === null ? null : refusedEnd(answer))),
        ]);
        if (answer === null) throw linkLost({ certain: false });
        return answer;
      } finally {
        ended.delete(command);
      }
    },
    async fork(id, upTo) {
      const { session, ref } = requireSession();
      return { ...ref, conversationId: await forkConversation(session.ask, ref, id, upTo) };
    },
    async fetchHistory(limit) {
      return fetchHistory(requireSession().session.ask, limit);
    },
    close() {
      const before = stage;
      stage = { name: 'closed' };
      if (before.name === 'waiting') before.stop();
      if (before.name === 'ready') before.watch?.stop();
      if (before.name === 'connecting' || before.name === 'ready') before.session?.close();
      if (before.name === 'connecting') before.place?.leave();
      leavePlace();
    },
  };
}

function refusedEnd({ success, output, error }: FrameOf<'execute_command_response'>): CommandEnd {
  return { ok: success === true, output: output ?? error ?? '' };
}

function fileUnanswered(): BridgeError {
  return new BridgeError('letta_unreachable', 'the machine did not send a file in time', {
    notice: NOTICES.machineSilent,
    retry: true,
  });
}

function agentGone(agent: string, whose: 'thread' | 'channel' | 'setting', route: Route): BridgeError {
  // The ids of local agents begin with `agent-local-` (seen with 0.32.18).
  const isOfCloud = route.hasOnlyLocalAgents && !agent.startsWith('agent-local-');
  const notice = agentGoneText(agent, whose, isOfCloud);
  // A new conversation would not find it either.
  if (isOfCloud && whose !== 'thread') {
    return new BridgeError('agent_elsewhere', `agent ${agent} is not on the device`, { notice, agent });
  }
  return new BridgeError('agent_not_found', `agent ${agent} not found`, { notice, agent });
}

function inputRefused(error: string): BridgeError {
  return new BridgeError('input_refused', `Letta refused the input: ${error.slice(0, 300)}`, {
    notice: NOTICES.messageRefused,
  });
}
