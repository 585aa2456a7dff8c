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
