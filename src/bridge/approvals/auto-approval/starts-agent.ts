/**
 * Tools of Letta's toolsets, of now and of before, that set another agent to work: `Agent` (named `Task` in its catalog
 * and in older versions), `Workflow`, `SendAgentMessage`. Letta starts such an agent without a permission mode that
 * asks (docs/letta-protocol.md, Activity nobody asked for).
 */
const TOOLS: ReadonlySet<string> = new Set(['agent', 'subagent', 'task', 'workflow', 'delegate', 'handoff']);
/** Tools that a server, a mod or MCP adds under a name of its own: a verb of these and a noun of those. */
const VERBS: ReadonlySet<string> = new Set([
  ...['call', 'create', 'delegate', 'deploy', 'dispatch', 'fork', 'invoke', 'launch', 'message', 'prompt', 'run'],
  ...['send', 'spawn', 'start', 'submit', 'task'],
]);
const NOUNS: ReadonlySet<string> = new Set([
  ...['agent', 'agents', 'subagent', 'subagents', 'teammate', 'teammates', 'workflow', 'workflows'],
]);

/**
 * Whether a call of this tool sets another agent to work: nothing that one does is asked about. Judged by the name
 * alone: what an input says can be worded in any way.
 */
export function startsAgent(tool: string): boolean {
  const words = wordsOf(tool);
  if (TOOLS.has(words.join(''))) return true;
  return words.some((word) => NOUNS.has(word)) && words.some((word) => VERBS.has(word));
}

/** `SendAgentMessage`, `send_agent_message`, `mcp__crew__sendAgentMessage` → the words in lower case. */
function wordsOf(tool: string): string[] {
  return tool
    .replace(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
    .split(/[^\p{L}\d]+/u)
    .filter((word) => word !== '')
    .map((word) => word.toLowerCase());
}
