/** Letta's toolsets (`/toolset`), by their ids. `-`: in none of them, but known to the server, which may be told to offer it. */
export type Toolset = 'default' | 'codex' | 'letta' | '-';

/**
 * What `guarded` does with calls of a tool.
 * - `reads`: they pass if everything that they read may be read; otherwise people are asked.
 * - `passes`: they touch nothing but the agent's own session.
 * - `asks`: people are asked, always.
 */
export type GuardedDoes = 'reads' | 'passes' | 'asks';

export interface GuardedTool {
  tool: string;
  toolsets: readonly Toolset[];
  does: GuardedDoes;
  /** For people: what passes, or why it is asked. */
  why: string;
}

const ALL = ['default', 'codex', 'letta'] as const;
const A_SHELL = 'A command, in a form that the bridge does not analyse';
const AN_AGENT = 'Starts another agent that never asks for approval';
const OWN_LIST = 'The agent’s own list, in the memory of its server';

/**
 * Every tool of Letta Code 0.32.18, and what `guarded` does with it: `test/real/guarded-tools.test.ts` holds it against
 * the server, `docs/guarded-tools.md` shows it. A tool that is not here asks.
 */
export const GUARDED_TOOLS: readonly GuardedTool[] = [
  row('Read', ['default', 'letta'], 'reads', 'A file inside the working directory that does not look secret'),
  row('ViewImage', ['codex', 'letta'], 'reads', 'A picture inside the working directory'),
  row('LS', ['-'], 'reads', 'Names in a folder inside the working directory'),
  row('Glob', ['-'], 'reads', 'Names of files inside the working directory, never their contents'),
  row('Grep', ['-'], 'reads', 'One file that it names; in folders it would also read keys and settings'),
  row(
    'Bash',
    ['default'],
    'reads',
    'Plain reads: `ls`, `cat`, `head`, `tail`, `wc`, `grep` without `-r`, `find`, `stat`, `du`, `pwd`',
  ),
  row('TodoWrite', ['-'], 'passes', OWN_LIST),
  row('TaskCreate', ['default'], 'passes', OWN_LIST),
  row('TaskGet', ['default'], 'passes', `${OWN_LIST}, which all its conversations share`),
  row('TaskList', ['default'], 'passes', `${OWN_LIST}, which all its conversations share`),
  row('TaskUpdate', ['default'], 'passes', OWN_LIST),
  row('UpdatePlan', ['codex', 'letta'], 'passes', 'The agent’s own plan, which the server does not store'),
  row('AskUserQuestion', ALL, 'asks', 'Only people can answer a question'),
  row('Write', ['default', 'letta'], 'asks', 'Changes a file'),
  row('Edit', ['default', 'letta'], 'asks', 'Changes a file'),
  row('MultiEdit', ['-'], 'asks', 'Changes a file'),
  row('ApplyPatch', ['codex'], 'asks', 'Changes, moves and deletes files'),
  row('exec_command', ['codex', 'letta'], 'asks', `${A_SHELL}, with its own shell and directory, and it may stay open`),
  row('write_stdin', ['codex', 'letta'], 'asks', 'Types into a running command'),
  row('shell', ['-'], 'asks', A_SHELL),
  row('Shell', ['-'], 'asks', A_SHELL),
  row('shell_command', ['-'], 'asks', A_SHELL),
  row('ShellCommand', ['-'], 'asks', A_SHELL),
  row('Monitor', ALL, 'asks', 'A command or a connection that stays open after the turn'),
  row('KillBash', ['-'], 'asks', 'Ends a command that someone may be waiting for'),
  row('TaskStop', ALL, 'asks', 'Ends a subagent or a command that someone may be waiting for'),
  row('Task', ALL, 'asks', `${AN_AGENT}; models know it as \`Agent\``),
  row('Agent', ALL, 'asks', AN_AGENT),
  row('Workflow', ALL, 'asks', AN_AGENT),
  row('SendAgentMessage', ALL, 'asks', AN_AGENT),
  row(
    'SetWorkingDirectory',
    ALL,
    'asks',
    'Moves the directory against which reads are judged; until the new one is known, no relative path passes',
  ),
  row('EnterWorktree', ALL, 'asks', 'Creates a worktree and moves into it, as above'),
  row('ExitWorktree', ALL, 'asks', 'Moves out of a worktree and may delete it, as above'),
  row('memory', ['default', 'letta'], 'asks', 'Changes what the agent remembers in all its conversations'),
  row('memory_apply_patch', ['codex'], 'asks', 'Changes what the agent remembers in all its conversations'),
  row('Skill', ALL, 'asks', 'Loads instructions from files that it does not name'),
  row('ReadLSP', ['-'], 'asks', 'Reads through a language server, which may run what the project says'),
  row('read_file', ['-'], 'asks', 'Its relative paths begin in the server’s own directory, not in the agent’s'),
  row('ReadFile', ['-'], 'asks', 'Its relative paths begin in the server’s own directory, not in the agent’s'),
  row('list_dir', ['-'], 'asks', 'Not offered by any toolset'),
  row('ListDir', ['-'], 'asks', 'Not offered by any toolset'),
  row('grep_files', ['-'], 'asks', 'Searches in folders'),
  row('GrepFiles', ['-'], 'asks', 'Searches in folders'),
  row('read_artifact_file', ['-'], 'asks', 'Reads outside the working directory'),
  row('write_artifact_file', ['-'], 'asks', 'Changes a file'),
];

function row(tool: string, toolsets: readonly Toolset[], does: GuardedDoes, why: string): GuardedTool {
  return { tool, toolsets, does, why };
}

const DOES: Readonly<Record<GuardedDoes, string>> = {
  reads: 'passes if it reads only what may be read',
  passes: 'passes',
  asks: 'asks',
};

/** The table as Markdown. */
export function guardedToolsTable(): string {
  const lines = GUARDED_TOOLS.map(({ tool, toolsets, does, why }) => {
    const where = toolsets.map((set) => (set === '-' ? '–' : set)).join(', ');
    return `| \`${tool}\` | ${where} | ${DOES[does]} | ${why} |`;
  });
  return ['| tool | toolsets of Letta | under `guarded` it | because |', '| --- | --- | --- | --- |', ...lines].join(
    '\n',
  );
}
