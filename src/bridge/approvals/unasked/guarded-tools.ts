/** Letta's toolsets (`/toolset`), by their ids. `-`: in none of them, but known to the server, which may be told to offer it. */
export type Toolset = 'default' | 'codex' | 'letta' | '-';

/**
 * What `guarded` does with calls of a tool.
 * - `reads`: they pass where all that they read may be read; otherwise people are asked.
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
const A_SHELL = 'A command, in a form that is not taken apart here';
const AN_AGENT = 'Sets another agent to work, of which nothing is asked any more';
const OWN_LIST = 'The agent’s own list, in the memory of its server';

/**
 * Every tool of Letta Code 0.32.18, and what `guarded` does with it: `test/real/guarded-tools.test.ts` holds it against
 * the server, `docs/guarded-tools.md` shows it. What is not here asks.
 */
export const GUARDED_TOOLS: readonly GuardedTool[] = [
  row('Read', ['default', 'letta'], 'reads', 'A file inside of the working directory that does not look secret'),
  row('ViewImage', ['codex', 'letta'], 'reads', 'A picture inside of the working directory'),
  row('LS', ['-'], 'reads', 'Names in a folder inside of the working directory'),
  row('Glob', ['-'], 'reads', 'Names of files inside of the working directory, never what stands in them'),
  row('Grep', ['-'], 'reads', 'One file that it names; in folders it would read keys and settings, too'),
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
  row('UpdatePlan', ['codex', 'letta'], 'passes', 'The agent’s own plan, which the server does not even keep'),
  row('AskUserQuestion', ALL, 'asks', 'A question is answered by people'),
  row('Write', ['default', 'letta'], 'asks', 'Changes a file'),
  row('Edit', ['default', 'letta'], 'asks', 'Changes a file'),
  row('MultiEdit', ['-'], 'asks', 'Changes a file'),
  row('ApplyPatch', ['codex'], 'asks', 'Changes, moves and deletes files'),
  row(
    'exec_command',
    ['codex', 'letta'],
    'asks',
    `${A_SHELL}: with a shell and a directory of its own, and it may stay open`,
  ),
  row('write_stdin', ['codex', 'letta'], 'asks', 'Types into a command that runs'),
  row('shell', ['-'], 'asks', A_SHELL),
  row('Shell', ['-'], 'asks', A_SHELL),
  row('shell_command', ['-'], 'asks', A_SHELL),
  row('ShellCommand', ['-'], 'asks', A_SHELL),
  row('Monitor', ALL, 'asks', 'A command or a connection that stays open behind the turn'),
  row('KillBash', ['-'], 'asks', 'Ends a command that somebody may wait for'),
  row('TaskStop', ALL, 'asks', 'Ends a subagent or a command that somebody may wait for'),
  row('Task', ALL, 'asks', `${AN_AGENT}; models know it as \`Agent\``),
  row('Agent', ALL, 'asks', AN_AGENT),
  row('Workflow', ALL, 'asks', AN_AGENT),
  row('SendAgentMessage', ALL, 'asks', AN_AGENT),
  row(
    'SetWorkingDirectory',
    ALL,
    'asks',
    'Moves the directory that reads are judged in; until it is known where, nothing relative passes',
  ),
  row('EnterWorktree', ALL, 'asks', 'Makes a worktree and moves into it, as above'),
  row('ExitWorktree', ALL, 'asks', 'Moves out of a worktree and may delete it, as above'),
  row('memory', ['default', 'letta'], 'asks', 'Changes what the agent remembers in all its conversations'),
  row('memory_apply_patch', ['codex'], 'asks', 'Changes what the agent remembers in all its conversations'),
  row('Skill', ALL, 'asks', 'Brings in instructions from files that are not named'),
  row('ReadLSP', ['-'], 'asks', 'Reads through a language server, which may run what the project says'),
  row('read_file', ['-'], 'asks', 'Its relative paths begin in the server’s own directory, not in the agent’s'),
  row('ReadFile', ['-'], 'asks', 'Its relative paths begin in the server’s own directory, not in the agent’s'),
  row('list_dir', ['-'], 'asks', 'Not offered by any toolset'),
  row('ListDir', ['-'], 'asks', 'Not offered by any toolset'),
  row('grep_files', ['-'], 'asks', 'Searches in folders'),
  row('GrepFiles', ['-'], 'asks', 'Searches in folders'),
  row('read_artifact_file', ['-'], 'asks', 'Reads outside of the working directory'),
  row('write_artifact_file', ['-'], 'asks', 'Changes a file'),
];

function row(tool: string, toolsets: readonly Toolset[], does: GuardedDoes, why: string): GuardedTool {
  return { tool, toolsets, does, why };
}

const DOES: Readonly<Record<GuardedDoes, string>> = {
  reads: 'passes, if it reads only what may be read',
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
