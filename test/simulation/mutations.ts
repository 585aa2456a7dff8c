/** One change of the source that takes a mechanism away. */
interface Edit {
  file: string;
  /** Stands in the file exactly once. */
  find: string;
  replace: string;
}

export interface Mutation {
  /** What is lost with it. */
  name: string;
  /** What the simulation says of the promise that is broken then; some consequence of it is no proof. */
  sign: RegExp;
  edits: readonly Edit[];
  /** Several processes have to share the workspace to notice it. */
  replicas?: true;
}

function mutation(name: string, sign: RegExp, file: string, find: string, replace: string): Mutation {
  return { name, sign, edits: [{ file, find, replace }] };
}

/** Every mechanism that the promises rest on, broken once: the simulation has to notice each (`npm run simulate:mutations`). */
export const mutations: readonly Mutation[] = [
  mutation(
    'a handled message is recognised by its key',
    /again in|was accepted twice/,
    'src/bridge/record/inbox.ts',
    'return record.seen.some((seen) => seen.key === key);',
    'return record.seen.length < 0 && key !== undefined;',
  ),
  mutation(
    'a reaction that was taken back and added again asks once',
    /ran in turns|was accepted twice/,
    'src/bridge/record/reacted.ts',
    'return mark !== null && reacted.some(isSame(mark));',
    'return mark !== null && reacted.length < 0;',
  ),
  mutation(
    'the record keeps what the conversation was told',
    /was told to .* twice/,
    'src/bridge/record/inbox.ts',
    '...(known && { known }) };',
    '};',
  ),
  mutation(
    'what waits for a turn of its own is no context',
    /is context of its own turn|was told to .* twice/,
    'src/bridge/turn/past.ts',
    'if (own.has(item.key) || also.has(item.ts)) return false;',
    'if (also.has(item.ts)) return false;',
  ),
  mutation(
    'a call of a tool is stored before it acts',
    /was done \d+ times|was told as not done/,
    'src/bridge/thread/core/calls.ts',
    "changeCall(record, id, { state: 'acting' })",
    'changeCall(record, id, {})',
  ),
  mutation(
    'a call that was cut off in the middle is not done again',
    /was done \d+ times/,
    'src/bridge/thread/core/calls.ts',
    'if (isReading(call)) {',
    'if (isToolName(call.tool)) {',
  ),
  mutation(
    'a schedule that people deleted is deleted at Letta',
    /no thread has it|left at Letta/,
    'src/letta/schedules.ts',
    'for (const task of all) if (task !== kept) await deleteTask(ask, task.id);',
    '',
  ),
  mutation(
    'what a schedule is to be is made so at Letta',
    /is to be .*, and is .* at Letta|tasks at Letta|left at Letta/,
    'src/bridge/thread/core/schedules.ts',
    "if (work.thread.link.aligning === 'no' && !isAligned(work)) align(work);",
    '',
  ),
  mutation(
    'a message is stored before Slack hears "ok"',
    /accepted and is on no disk/,
    'src/bridge/thread/mailbox.ts',
    'const result = work();',
    'const result = work();\n        resolve(result);',
  ),
  mutation(
    "an inbox is in Slack's order",
    /not in the order of Slack/,
    'src/bridge/record/inbox.ts',
    'return items.toSorted((a, b) => compareTs(a.ts, b.ts));',
    'return [...items];',
  ),
  mutation(
    'an input is stored as submitted before it is sent',
    /ran in turn/,
    'src/bridge/thread/core/input.ts',
    "const leaves = { state: 'submitted' as const,",
    "const leaves = { state: 'prepared' as const,",
  ),
  mutation(
    'a failed write is looked up on disk',
    /no rest|says (allow|deny), Letta heard/,
    'src/bridge/thread/state.ts',
    'const landed = (record?.rev ?? 0) > before;',
    'const landed = (record?.rev ?? 0) > before && failures < 0;',
  ),
  mutation(
    'the history is read before an input is sent again',
    /ran in turn/,
    'src/bridge/thread/core/look.ts',
    'if (found.arrived) {\n    take(work, found);',
    'if (found.arrived && live.tries < 0) {\n    take(work, found);',
  ),
  mutation(
    'a missing hosted input is looked up a second time',
    /ran in turn/,
    'src/bridge/thread/core/look.ts',
    'if (!waits && (turnsDieWithLink || again)) return',
    'if (turnsDieWithLink || !again) return',
  ),
  mutation(
    "an input in Letta's queue is not sent again",
    /ran in turn|was sent again while it waited/,
    'src/bridge/thread/core/look.ts',
    'const waits = isQueued(link, turn);',
    'const waits = isQueued(link, turn) && live.tries < 0;',
  ),
  mutation(
    'one round trip passes between two turns',
    /right behind a turn's end/,
    'src/bridge/thread/perform/letta.ts',
    'const settled = () => this.#open.settle().then(() => true);',
    'const settled = async () => true;',
  ),
  mutation(
    'an unanswered post is looked up before posting again',
    /shown twice/,
    'src/slack/outbox/publication.ts',
    "if (failure === 'unknown' && call.kind === 'post') lookup.request();",
    '',
  ),
  mutation(
    'a native stream whose begin had no answer is looked for',
    /shown twice|was never ended/,
    'src/slack/outbox/publication.ts',
    "if (next === 'look') lookup.request();",
    "if (next === 'look') lookup.postpone();",
  ),
  mutation(
    'a native stream is stored before it is begun',
    /shown twice|was never ended/,
    'src/slack/outbox/publication.ts',
    'await ledger.saveBegun(begunStream(step.post.part, step.text, clock.now()));',
    'true;',
  ),
  mutation(
    'a native stream that shows what nobody knows is ended and edited',
    /shown twice|stands below|missing/,
    'src/slack/outbox/native-stream.ts',
    'if (open) open = { ...open, sent: null };',
    '',
  ),
  mutation(
    'a restart looks in Slack for posts missing in the ledger',
    /shown twice|looks alive/,
    'src/slack/outbox/lookup.ts',
    'let doubt: Doubt | null = options.mayHaveUnknownPosts ? makeDoubt(true) : null;',
    'let doubt: Doubt | null = null;',
  ),
  mutation(
    'a restart keeps a card and the text above it in place',
    /moves|deleted|shown twice/,
    'src/slack/outbox/surface.ts',
    'isTextUnknown: view.textUnknown === true,',
    'isTextUnknown: false,',
  ),
  mutation(
    'a post found by its metadata is adopted',
    /shown twice|looks alive/,
    'src/slack/outbox/ledger.ts',
    'if (unknown.length > 0) await replacePosts(',
    'if (unknown.length < 0) await replacePosts(',
  ),
  mutation(
    'a restart looks for the copy in a direct message',
    /is shown twice in the copy/,
    'src/slack/outbox/lookup.ts',
    'if (isPostponed) doubt = doubtEverything();',
    '',
  ),
  {
    // Each alone finds most of them again, so that only both together are missed at once.
    name: 'a restart finds earlier posts by ledger and by lookup',
    sign: /shown twice|looks alive/,
    edits: [
      {
        file: 'src/bridge/thread/core/step.ts',
        find: 'changeTurn(record, { posts: event.posts })',
        replace: 'changeTurn(record, { posts: [] })',
      },
      {
        file: 'src/slack/outbox/lookup.ts',
        find: 'let doubt: Doubt | null = options.mayHaveUnknownPosts ? makeDoubt(true) : null;',
        replace: 'let doubt: Doubt | null = null;',
      },
    ],
  },
  mutation(
    'the final edit is retried until it succeeds',
    /looks alive|are missing/,
    'src/slack/outbox/publication.ts',
    'if (wanted?.isFinal && now - failingSince >= options.giveUpAfterMs) {',
    'if (wanted?.isFinal) {',
  ),
  mutation(
    'no call is made before its Retry-After',
    /before its Retry-After/,
    'src/slack/api/retry-after.ts',
    'if (left > 0) throw',
    'if (left > Number.MAX_SAFE_INTEGER) throw',
  ),
  mutation(
    'a retried run loses its text',
    /took back/,
    'src/bridge/turn/fold.ts',
    "parts: state.parts.filter((part) => part.kind !== 'text' || part.runId !== event.runId),",
    'parts: state.parts,',
  ),
  mutation(
    "a subagent's text is left out",
    /of a subagent is shown/,
    'src/letta/runtime/runtime.ts',
    'if (frame.subagent_id) return;',
    '',
  ),
  mutation(
    'a repeated frame is dropped',
    /is shown twice/,
    'src/letta/runtime/runtime.ts',
    'if (hasSeen(work.state.seenFrames, frame.idempotency_key)) return;',
    '',
  ),
  mutation(
    'missing text is noticed by seq_id',
    /words are missing/,
    'src/letta/runtime/turn-memory.ts',
    'mayMissText: run.mayMissText || seqId > run.lastSeqId + 1,',
    'mayMissText: run.mayMissText,',
  ),
  mutation(
    'a turn lost with its link is looked up in the history',
    /no rest|says that it works/,
    'src/bridge/thread/core/reconnect.ts',
    'if (isIdle) return look(work);',
    'if (isIdle && !turn) return look(work);',
  ),
  mutation(
    'the permission mode is confirmed before the first input',
    /runs in \w+ mode/,
    'src/letta/handshake.ts',
    'if (before.mode === mode && isInDirectory(before)) return;',
    'if (before.mode !== null && isInDirectory(before)) return;',
  ),
  mutation(
    "a thread learns that its device's socket is gone",
    /no rest|says that it works|lanes are left open/,
    'src/letta/devices/device.ts',
    'for (const lane of lanes) lane.handlers.onClose(loss);',
    'void [lanes, loss];',
  ),
  mutation(
    'the relay is asked about a silent turn',
    /says that it works/,
    'src/letta/connection.ts',
    'if (route.isOrdered) return null;',
    'if (route.isOrdered || runtime !== null) return null;',
  ),
  {
    name: 'a decision applies to the input that was shown',
    sign: /which nobody who may had clicked/,
    edits: [
      {
        file: 'src/bridge/thread/core/decide.ts',
        find: 'if (!request || !pending || digestOf(request.input) !== record.digest) {',
        replace: 'if (!request || !pending) {',
      },
      {
        file: 'src/bridge/thread/core/requests.ts',
        find: 'const known = last?.digest === digest && !live.taken.has(last.token) ? last : null;',
        replace: 'const known = last && !live.taken.has(last.token) ? last : null;',
      },
    ],
  },
  mutation(
    'a turn that ends background tasks may do nothing else',
    /Letta heard allow about perm\d+z, which nobody/,
    'src/bridge/thread/core/requests.ts',
    'if (turn.ends && isTaskEndCall(turn.ends, request)) return',
    'if (turn.ends) return',
  ),
  mutation(
    'only people who may decide do',
    /decided .*, asked was/,
    'src/bridge/thread/core/decide.ts',
    "if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);",
    '',
  ),
  {
    name: 'the first click wins',
    sign: /decided twice|Letta heard/,
    edits: [
      {
        file: 'src/bridge/thread/core/decide.ts',
        find: "if (record.state.state !== 'open') {",
        replace: "if (record.state.state === 'closed') {",
      },
      {
        file: 'src/bridge/record/inbox.ts',
        find: 'return open ? setApproval(record, token, state, input) : record;',
        replace: 'return open || state ? setApproval(record, token, state, input) : record;',
      },
    ],
  },
  mutation(
    'cards are closed with their turn',
    /is left at/,
    'src/bridge/thread/core/over.ts',
    "changeTurn(closeApprovals(offer(record), turn.id, 'turn_over', now), ended)",
    'changeTurn(offer(record), ended)',
  ),
  mutation(
    'only the addressee decides an offer',
    /on what was offered to/,
    'src/bridge/thread/core/offers.ts',
    'if (!verdict.allowed) {',
    "if (!verdict.allowed && verdict.reason !== 'not_the_requester') {",
  ),
  mutation(
    'catch-up reads from the mark on',
    /never found: msg/,
    'src/bridge/intake/catch-up.ts',
    'if (Number.isFinite(mark)) this.#noteGap(mark);',
    '',
  ),
  mutation(
    'catch-up reads after a lost socket',
    /never found: msg/,
    'src/bridge/intake/catch-up.ts',
    'if (!isConnected) this.#noteGap(this.#parts.clock.now());',
    'if (!isConnected) this.#failureCount = 0;',
  ),
  mutation(
    'a message found late is offered, not run',
    /taken unasked/,
    'src/bridge/record/inbox-change.ts',
    'return staleAfterMs !== null && ageOf(item, now - clockAheadMs) > staleAfterMs;',
    'return staleAfterMs !== null && ageOf(item, now - clockAheadMs) < 0;',
  ),
  mutation(
    'a message that waited too long is offered, not run',
    /ran unasked/,
    'src/bridge/thread/core/offers.ts',
    'if (awayMs < staleAfterMs) return;',
    'if (awayMs > 0) return;',
  ),
  mutation(
    'active threads are marked for the next start',
    /no rest: active/,
    'src/storage/threads.ts',
    'if (needsMarker) await this.#writeMarker(key, owned, wanted);',
    '',
  ),
  mutation(
    'idle threads are unmarked',
    /at rest, and the next start reads it/,
    'src/storage/threads.ts',
    'if (!willBeActive && (wasActive || needsMarker)) await this.#deleteMarker(key, wanted);',
    '',
  ),
  mutation(
    'threads of one conversation take turns at its link',
    /is shown twice/,
    'src/wiring.ts',
    'gateway: takeTurns(letta.gateway, clock),',
    'gateway: letta.gateway,',
  ),
  ...replicaMutations(),
];

/** What keeps several processes apart. */
function replicaMutations(): Mutation[] {
  const postgres = (name: string) => `src/storage/postgres/${name}.ts`;
  const all = [
    mutation(
      'a row is written only with the fence of its lease',
      /wrote .* outside of a lease/,
      postgres('adapter'),
      'WHERE workspace = $1 AND fence = $2 FOR KEY SHARE)',
      'WHERE workspace = $1 FOR KEY SHARE)',
    ),
    mutation(
      'the holder of a lease stops before another process may take it',
      /left .* outside of a lease/,
      postgres('lease'),
      'return times.expiryMs - marginMs(times) - gone;',
      'return times.expiryMs + 3_000 - gone;',
    ),
    mutation(
      'a process that was frozen looks at its clock before it calls',
      /left .* outside of a lease/,
      'src/workspaces/gate.ts',
      'const isOpen = () => !closing.signal.aborted && right.isHeld();',
      'const isOpen = () => !closing.signal.aborted;',
    ),
    mutation(
      'a machine that slept counts by the wall clock',
      /left .* outside of a lease/,
      postgres('lease'),
      'const gone = Math.max(clock.monotonic() - monotonic, clock.now() - wall);',
      'const gone = Math.max(clock.monotonic() - monotonic, wall - wall);',
    ),
    mutation(
      'a delivery stays in the table until it is handled',
      /was acked and never handled/,
      postgres('inbound-worker'),
      '      await this.#parts.handle(delivery);\n',
      '      this.#handled.add(row.id);\n      await this.#deleteHandled();\n      await this.#parts.handle(delivery);\n',
    ),
    mutation(
      'a delivery whose handling failed is handled again',
      /was acked and never handled|was accepted and is on no disk|is lost/,
      postgres('inbound-worker'),
      '      return this.#postpone(row, error);',
      '      if (row.tries < 0) return this.#postpone(row, error);',
    ),
    mutation(
      'a click that was begun is not taken back as if nothing had happened',
      /was told as not done, and was handled/,
      postgres('inbound'),
      "'DELETE FROM bridge_inbound WHERE token = $1 AND begun_by IS NULL RETURNING 1 AS one'",
      "'DELETE FROM bridge_inbound WHERE token = $1 RETURNING 1 AS one'",
    ),
    mutation(
      'a click is begun once',
      /was taken up \d+ times/,
      'src/workspaces/deliveries.ts',
      "if (envelope.kind === 'events_api') return handOver(workspace, envelope);",
      'return handOver(workspace, envelope);',
    ),
    mutation(
      'a workspace without an owner is taken by another process',
      /^no rest/,
      'src/workspaces/keeper.ts',
      'await Promise.all(unserved.filter((id) => !seats.has(id)).map(takeInBackground));',
      'await Promise.all(unserved.filter((id) => seats.has(id)).map(takeInBackground));',
    ),
  ];
  return all.map((each) => ({ ...each, replicas: true }));
}
