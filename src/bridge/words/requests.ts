import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';

/** What a click or a command that decides nothing is answered with. */
export const NOT_DECIDED = {
  /** Of any button. */
  over: 'This is over, so the button no longer does anything.',
  requestOver: 'This request is over.',
  requestChanged: 'This request changed or is over, so nothing was decided.',
  turnEnded: 'That turn has already ended.',
  stopping: 'The turn is being stopped, so nothing was decided.',
  unreachable: 'I can’t reach Letta right now, so nothing was decided. Try again in a moment.',
  unknownPerson: 'Slack can’t tell me right now who you are, so I did nothing. Try again in a minute.',
  notAQuestion: 'This is not a question.',
  aQuestion: 'This is a question: choose an answer.',
  notEditable: 'You can’t change this here.',
  noRule: 'There is no rule to save.',
  optionGone: 'That option no longer exists.',
  notForTheTurn: 'You can’t approve this for the whole turn.',
  cannotShow: 'I can’t show this to anyone.',
  noCommand: 'Write the command to run.',
  nothingWaits: 'No request is waiting for a decision here.',
  unknownId: 'No request with that id is waiting here.',
  onlyDeny: 'I can’t show all of this as text to everyone here, so you can only deny it.',
  noLongerQueued: 'That message is no longer queued.',
  chooseOrWrite: 'Choose or write an answer.',
  notBoth: 'Choose an option or write an answer, not both.',
} as const;

/** Why a request cannot be decided any longer, or that it can. */
export const LATE = {
  open: 'This is still open.',
  answered_elsewhere: 'Someone already answered this outside Slack.',
  expired: 'No one decided this in time, so I denied it.',
  not_shown: 'I could not show this, so I denied it.',
  turn_over: 'This request is over, because its turn has ended.',
  link_lost: 'This request is over, because its turn has ended.',
} as const;

/** @param decision for example `approved_with_changes` */
export function alreadyDecidedText(decision: string, by: string): string {
  return `Already ${decision.replaceAll('_', ' ')} by <@${by}>.`;
}

/** Of an offer. */
export function offerDecidedText(by: string): string {
  return `<@${by}> already decided this.`;
}

export const DECIDED_BY_COMMAND = { approve: 'Approved.', deny: 'Denied.' } as const;

/** What a person's consent also covers, after "Approved". */
export const GRANTED = {
  command: 'and the same command again during this turn',
  edits: 'and all edits during this turn',
} as const;
/** What was approved by an earlier consent. */
export const BY_GRANT = {
  command: 'this exact command during this turn',
  edits: 'all edits during this turn',
} as const;

/** What the agent reads for a request that no person decided. */
export const DENIAL = {
  expired: 'No one in Slack decided this in time, so it was not approved.',
  not_shown: 'This could not be shown to anyone in Slack, so it was not approved.',
} as const;
/** What the agent reads in a turn that is to end its background tasks. */
export const ONLY_END_TASKS = 'In this turn you may only end the background tasks, by their ids.';

/** What the agent reads for a denial without a reason. */
export function deniedByText(name: string): string {
  return `${name} denied this in Slack.`;
}

/** For the thread; with `refusal`, what is wrong with the request, for example "longer than 200,000 characters". */
export function notShownText(refusal: string | null): string {
  const what = 'I could not show here what the agent asked for, so I denied it';
  return refusal === null ? `${what}.` : `${what}: it is ${refusal}.`;
}

/** For the thread, of a request in a turn that another client began. @param refusal what is wrong with it */
export function decideElsewhereText(refusal: string): string {
  return `I cannot show here what the agent asks for: it is ${refusal}. Decide it in the client that asked.`;
}

/** The same for the agent. */
export function notShownDenial(refusal: string): string {
  return `This could not be shown to anyone in Slack, so it was not approved: it is ${refusal}.`;
}

/** For the author of a reply that was to answer a request. */
export function replyTooLateText(by: string): string {
  return `<@${by}>, your message came after the request was over, so the agent has not read it. Send it again if it still matters.`;
}

/** Why a request is too large to be shown; the end of a sentence. */
export function deeperThanText(levels: number): string {
  return `nested more than ${levels.toLocaleString('en-US')} levels deep`;
}
export function longerThanText(letters: number, isWithDiff: boolean): string {
  return `longer than ${letters.toLocaleString('en-US')} characters${isWithDiff ? ' with its diff' : ''}`;
}

/** Lines of a card. */
export const CARD_NOTES = {
  unreadablePatch: '⚠️ I can’t read this as a patch, so I don’t know which files it changes.',
  outside: '⚠️ outside the working directory',
  movesDirectory: 'This moves the working directory: approved commands run in the new folder',
  mayMoveDirectory:
    'If this creates a worktree, the working directory can move into it: approved commands then run there',
  readsThere: 'files there can be read without asking',
  rulesThere: 'the auto_approve rules apply there',
} as const;

export function fullNameText(tool: string): string {
  return `The tool’s full name: ${tool}`;
}

/** @param what foreign text: the question, or the tool and what it would do @param until as `moment()` says it */
export function reminderWords(
  what: { tool: string | null; title: string },
  where: string,
  until: string | null,
): string {
  const waits =
    what.tool === null
      ? 'a question is waiting for an answer'
      : `${asCode(oneLine(what.tool, 40))} is waiting for a decision`;
  const then = until === null || what.tool === null ? '' : ` Without a decision I deny it at ${until}.`;
  return `${waits} ${where}: ${asCode(what.title) || 'see the card'}.${then}`;
}

/** What the next input says of requests that Letta lost. */
export const ASK_AGAIN =
  'The connection was lost before anyone could decide about your request, so nothing of it ran. If you still need it, ask again.';

/** The model's own words about what it would do; they prove nothing. */
export function ownWordsText(description: string): string {
  return `In the model’s own words: “${description}”`;
}

/** @param what a file and why its change is not shown */
export function noDiffText(what: string): string {
  return `No diff for ${what}`;
}
