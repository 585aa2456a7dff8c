/** What each known tool asks, in words; with a name of a file where the head may have one. */
export const HEADS: Readonly<Record<string, { asks: string; file?: string }>> = {
  Bash: { asks: 'Run this command?' },
  exec_command: { asks: 'Run this command?' },
  write_stdin: { asks: 'Type this into a running command?' },
  Write: { asks: 'Write this file?', file: 'Write' },
  Edit: { asks: 'Change this file?', file: 'Change' },
  MultiEdit: { asks: 'Change this file?', file: 'Change' },
  ApplyPatch: { asks: 'Change these files?' },
  memory_apply_patch: { asks: 'Change the agent’s memory?' },
  Read: { asks: 'Read this file?', file: 'Read' },
  LS: { asks: 'List this folder?' },
  Glob: { asks: 'Look for these files?' },
  Grep: { asks: 'Search in files?' },
  WebFetch: { asks: 'Fetch this web page?' },
  WebSearch: { asks: 'Search the web?' },
  Task: { asks: 'Start a subagent?' },
  Agent: { asks: 'Start a subagent?' },
  Workflow: { asks: 'Start a workflow of agents?' },
  SendAgentMessage: { asks: 'Start another agent?' },
  SetWorkingDirectory: { asks: 'Move to another folder?' },
  EnterWorktree: { asks: 'Move to a worktree?' },
  ExitWorktree: { asks: 'Leave the worktree?' },
  slack_upload_file: { asks: 'Upload this file here?' },
  slack_react: { asks: 'React to this message?' },
  slack_read_thread: { asks: 'Read this thread?' },
  slack_read_file: { asks: 'Read this file of Slack?' },
  slack_find_people: { asks: 'Look for these people?' },
  slack_post_message: { asks: 'Post this message?' },
  slack_read_channel: { asks: 'Read this channel?' },
  slack_schedule: { asks: 'Make this schedule?' },
  slack_unschedule: { asks: 'Delete this schedule?' },
  ExitPlanMode: { asks: 'Go on with this plan?' },
};

/** What a card asks about any other tool, before its name. */
export const USE_TOOL = 'Use this tool?';

/** How a card was decided, with its sign. */
export const DECIDED = {
  approved: ['✅', 'Approved'],
  approved_with_changes: ['✅', 'Approved with changes'],
  edited: ['⏳', 'Edited: see the new request below'],
  denied: ['⛔', 'Denied'],
  answered: ['✅', 'Answered'],
} as const;
/** The same of a plan. */
export const PLAN = { approved: 'Plan approved', denied: 'Changes to the plan asked for' } as const;
/** Why no one decides it any longer, with its sign or none. */
export const CLOSED = {
  answered_elsewhere: ['', 'Answered outside Slack'],
  turn_over: ['', 'No longer needed: the turn has ended'],
  link_lost: ['⚠️', 'Lost with the connection to Letta: nothing ran'],
  expired: ['⛔', 'Denied: no one decided in time'],
  not_shown: ['⛔', 'Denied: I could not show it here'],
} as const;

/** The buttons of a request, and what a screen reader says of each before what it is about. */
export const BUTTONS = {
  approve: { label: 'Approve', says: 'Approve' },
  approvePlan: { label: 'Approve plan', says: 'Approve' },
  review: { label: 'Review and approve', says: 'Review and approve' },
  deny: { label: 'Deny…', says: 'Deny' },
  changePlan: { label: 'Ask for changes…', says: 'Ask for changes' },
  forTurn: { label: 'Approve for this turn', says: 'Approve for this turn' },
  editsForTurn: { label: 'Approve all edits for this turn', says: 'Approve all edits for this turn' },
  edit: { label: 'Edit command', says: 'Change, then approve' },
  viewFull: { label: 'View full', says: 'View all of it' },
  saveRule: { label: 'Always allow…', says: 'Always allow this, admins only' },
  stop: { label: 'Stop', says: 'Stop the agent' },
  models: { label: 'Choose model…', says: 'Choose a model and tools' },
  sendNow: { label: 'Send now', says: 'Send your waiting messages to the running turn' },
  other: { label: 'Other…', says: 'Answer in a form' },
  answer: { label: 'Answer…', says: 'Answer in a form' },
} as const;

/** Lines of a card. */
export const CARD = {
  neverAsks:
    '⚠️ *The agent that this starts never asks for approval.* It can run any command and change any file that its machine allows, and Stop may not end it.',
  secretsHidden: 'Secrets are hidden («redacted»).',
  mayNotBeSecret: 'Some of the hidden text may not be secret: “Review and approve” shows it to the person who decides.',
  orReply: 'Or just reply.',
  chooseAnswer: 'Choose an answer',
  goesOnUnanswered: 'it goes on without an answer',
  workedThenAsked: 'The agent worked on it, then asked:',
} as const;

/** Who may approve that another agent is started; follows `CARD.neverAsks`. */
export const MAY_START = {
  approvers: '',
  admins: ' Only an admin can approve this.',
  nobody:
    ' No one can approve this here; you can deny it. To allow it, name `admins` or write `subagents: allow` in the policy file.',
} as const;

/** @param ways commands */
export function typedText(ways: readonly string[]): string {
  return `To decide, write here: ${ways.join(' or ')}`;
}

export function editedByText(who: string): string {
  return `${who} wrote this command; someone else must approve it`;
}

/** @param time as Slack shows it @param then what happens at that time */
export function expiresText(time: string, then: string): string {
  return `⏳ Expires ${time} (then ${then})`;
}

/** Of a plan that is decided. */
export function restInDetailsText(hidden: number): string {
  return `${hidden} more characters: Details shows all of it.`;
}

export function clippedText(hidden: number): string {
  return `${hidden} more characters: “Review and approve” shows all of it.`;
}

export type CardButton = (typeof BUTTONS)[keyof typeof BUTTONS];
