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
}

function mutation(name: string, sign: RegExp, file: string, find: string, replace: string): Mutation {
  return { name, sign, edits: [{ file, find, replace }] };
}

/** Every mechanism that the promises rest on, broken once: the simulation has to notice each (`npm run simulate:mutations`). */
export const mutations: readonly Mutation[] = [
  mutation(
    'a message that was handled is known by its key',
    /again in|was accepted twice/,
    'src/bridge/record/inbox.ts',
    'return record.seen.some((seen) => seen.key === key);',
    'return record.seen.length < 0 && key !== undefined;',
  ),
  mutation(
    'a message is on disk before Slack hears "ok"',
    /accepted and is on no disk/,
    'src/bridge/intake/queue.ts',
    'stored = await threads.update(key, (record) => {',
    'void threads.update(key, (record) => {',
  ),
  mutation(
    'the order of an inbox is that of Slack',
    /not in the order of Slack/,
    'src/bridge/record/inbox.ts',
    'return items.toSorted((a, b) => compareTs(a.ts, b.ts));',
    'return [...items];',
  ),
  {
    name: 'an input is marked as submitted before it leaves',
    sign: /ran in turn/,
    edits: [
      {
        file: 'src/bridge/thread/turn-input.ts',
        find: 'await state.insist((record) =>\n      isAsWritten',
        replace: 'void state.insist((record) =>\n      isAsWritten',
      },
      {
        file: 'src/bridge/thread/turn-input.ts',
        find: "if (state.open?.state !== 'submitted') {",
        replace: 'if (state.open === null) {',
      },
    ],
  },
  mutation(
    'the history is asked before an input is sent again',
    /ran in turn/,
    'src/bridge/thread/turn-lookup.ts',
    'if (found.arrived) {\n          this.#take(found);',
    'if (found.arrived && this.#looks < 0) {\n          this.#take(found);',
  ),
  mutation(
    'a hosted input that is missing is looked for a second time',
    /ran in turn/,
    'src/bridge/thread/turn-lookup.ts',
    'if (turnsDieWithLink || again) return',
    'if (turnsDieWithLink || !again) return',
  ),
  mutation(
    'between two turns lies one round trip',
    /right behind a turn's end/,
    'src/bridge/thread/link.ts',
    'connection.settle(),',
    'Promise.resolve(),',
  ),
  mutation(
    'a post without an answer is looked for before it is posted again',
    /shown twice/,
    'src/slack/outbox/publication.ts',
    "if (failure === 'unknown' && call.kind === 'post') doubt = doubtNow();",
    '',
  ),
  mutation(
    'after a restart Slack is asked for posts that the ledger does not know',
    /shown twice|looks alive/,
    'src/slack/outbox/publication.ts',
    'let doubt: Doubt | null = options.resumed ? doubtNow(true) : null;',
    'let doubt: Doubt | null = null;',
  ),
  mutation(
    'after a restart a card stays in its message, and what stands above it too',
    /moves|deleted|shown twice/,
    'src/slack/outbox/surface.ts',
    'textUnknown: view.textUnknown === true,',
    'textUnknown: false,',
  ),
  mutation(
    'what is found by its metadata is adopted',
    /shown twice|looks alive/,
    'src/slack/outbox/ledger.ts',
    'if (unknown.length > 0) await keep(',
    'if (unknown.length < 0) await keep(',
  ),
  mutation(
    'the copy of an answer in a direct message is looked for after a restart',
    /is shown twice in the copy/,
    'src/slack/outbox/publication.ts',
    'if (unlooked) doubt = lookBack();',
    '',
  ),
  {
    // Each alone finds most of them again, so that only both together are missed at once.
    name: 'posts of before a restart are known, by the ledger and by looking',
    sign: /shown twice|looks alive/,
    edits: [
      {
        file: 'src/bridge/thread/worker.ts',
        find: '(record.turn?.id === turn.id ? changeTurn(record, { posts }) : record)',
        replace: '(record.turn?.id === turn.id ? changeTurn(record, { posts: [] }) : record)',
      },
      {
        file: 'src/slack/outbox/publication.ts',
        find: 'let doubt: Doubt | null = options.resumed ? doubtNow(true) : null;',
        replace: 'let doubt: Doubt | null = null;',
      },
    ],
  },
  mutation(
    'the last content is tried until it is there',
    /looks alive|are missing/,
    'src/slack/outbox/publication.ts',
    'if (wanted?.final && now - failingSince >= options.giveUpAfterMs) {',
    'if (wanted?.final) {',
  ),
  mutation(
    'nothing is called before its Retry-After',
    /before its Retry-After/,
    'src/slack/api/retry-after.ts',
    'if (left > 0) throw',
    'if (left > Number.MAX_SAFE_INTEGER) throw',
  ),
  mutation(
    'text of a run that is tried again is thrown away',
    /took back/,
    'src/bridge/turn/fold.ts',
    "parts: state.parts.filter((part) => part.kind !== 'text' || part.runId !== event.runId),",
    'parts: state.parts,',
  ),
  mutation(
    'what subagents say is left out',
    /of a subagent is shown/,
    'src/letta/runtime/runtime.ts',
    'if (frame.subagent_id) return;',
    '',
  ),
  mutation(
    'a frame that comes again is known',
    /is shown twice/,
    'src/letta/runtime/runtime.ts',
    'if (hasSeen(work.state.seenFrames, frame.idempotency_key)) return;',
    '',
  ),
  mutation(
    'missing text is seen by seq_id',
    /words are missing/,
    'src/letta/runtime/turn-memory.ts',
    'mayMissText: run.mayMissText || seqId > run.lastSeqId + 1,',
    'mayMissText: run.mayMissText,',
  ),
  mutation(
    'a turn that was lost with its link is looked up in the history',
    /no rest|says that it works/,
    'src/bridge/thread/listener.ts',
    'if (isIdle) return this.#parts.lookup.look();',
    '',
  ),
  mutation(
    'the permission mode is confirmed before the first input',
    /runs in \w+ mode/,
    'src/letta/handshake.ts',
    'if (before.mode === mode && isInDirectory(before)) return;',
    'if (before.mode !== null && isInDirectory(before)) return;',
  ),
  mutation(
    'a silent turn behind the relay is asked after',
    /says that it works/,
    'src/letta/connection.ts',
    'if (route.isOrdered) return null;',
    'if (route.isOrdered || runtime !== null) return null;',
  ),
  {
    name: 'a decision is about the input that was shown',
    sign: /which nobody who may had clicked/,
    edits: [
      {
        file: 'src/bridge/thread/approvals/decide.ts',
        find: 'if (!request || !pending || digestOf(request.input) !== record.digest) {',
        replace: 'if (!request || !pending) {',
      },
      {
        file: 'src/bridge/thread/approvals/requests.ts',
        find: 'const known = last?.digest === digest && !decisions.isTaken(last.token) ? last : null;',
        replace: 'const known = last && !decisions.isTaken(last.token) ? last : null;',
      },
    ],
  },
  mutation(
    'a turn that ends background tasks may do nothing else',
    /Letta heard allow about perm\d+z, which nobody/,
    'src/bridge/thread/approvals/requests.ts',
    'if (endsOneOf(ends, request)) {',
    'if (endsOneOf(ends, request) || ends.length > 0) {',
  ),
  mutation(
    'only who is asked decides',
    /decided .*, asked was/,
    'src/bridge/thread/approvals/decide.ts',
    "if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);",
    '',
  ),
  {
    name: 'the first click wins',
    sign: /decided twice|Letta heard/,
    edits: [
      {
        file: 'src/bridge/thread/approvals/decide.ts',
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
    'src/bridge/thread/worker.ts',
    "changeTurn(closeApprovals(record, turn.id, 'turn_over', this.#now()), known)",
    'changeTurn(record, known)',
  ),
  mutation(
    'only the one whose an offer is decides it',
    /on what was offered to/,
    'src/bridge/thread/offers.ts',
    'if (!verdict.allowed) {',
    "if (!verdict.allowed && verdict.reason !== 'not_the_requester') {",
  ),
  mutation(
    'what was missed is looked for from the mark on',
    /never found: msg/,
    'src/bridge/intake/catch-up.ts',
    'if (Number.isFinite(mark)) this.#missing(mark);',
    '',
  ),
  mutation(
    'a gap of the socket is looked into',
    /never found: msg/,
    'src/bridge/intake/catch-up.ts',
    'if (!connected) this.#missing(this.#parts.clock.now());',
    'if (!connected) this.#failures = 0;',
  ),
  mutation(
    'what is found late is not run unasked',
    /taken unasked/,
    'src/bridge/intake/queue.ts',
    'return staleAfterMs !== undefined && ageOf(item, clock.now() - aheadMs) > staleAfterMs;',
    'return staleAfterMs !== undefined && ageOf(item, clock.now() - aheadMs) < 0;',
  ),
  mutation(
    'what waited too long for Letta is not run unasked',
    /ran unasked/,
    'src/bridge/thread/offers.ts',
    'if (awayMs < staleAfterMs) return;',
    'if (awayMs > 0) return;',
  ),
  mutation(
    'threads with something open are known to the next start',
    /no rest: active/,
    'src/storage/threads.ts',
    'if (mark) await this.#mark(key, owned, wanted);',
    '',
  ),
  mutation(
    'threads at rest are not taken up again',
    /at rest, and the next start reads it/,
    'src/storage/threads.ts',
    'if (!active && (wasActive || mark)) await this.#unmark(key, wanted);',
    '',
  ),
];
