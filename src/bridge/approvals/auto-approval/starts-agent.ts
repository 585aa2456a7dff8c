/**
 * Tools of Letta's present and earlier toolsets that start another agent: `Agent` (named `Task` in its catalog and in older
 * versions), `Workflow`, `SendAgentMessage`. Letta starts such an agent in a permission mode that never asks
 * (docs/letta-protocol.md, Activity nobody asked for).
 */
const TOOLS: ReadonlySet<string> = new Set(['agent', 'subagent', 'task', 'workflow', 'delegate', 'handoff']);
/** A tool that a server, a mod or MCP adds counts when its name has one of these verbs and one of the nouns below. */
const VERBS: ReadonlySet<string> = new Set([
  ...['call', 'create', 'delegate', 'deploy', 'dispatch', 'fork', 'invoke', 'launch', 'message', 'prompt', 'run'],
  ...['send', 'spawn', 'start', 'submit', 'task'],
]);
const NOUNS: ReadonlySet<string> = new Set([
  ...['agent', 'agents', 'subagent', 'subagents', 'teammate', 'teammates', 'workflow', 'workflows'],
]);

/**
 * Whether a call of this tool starts another agent, which then never asks for approval. Judged by the tool's name alone,
 * because the input can be worded in any way.
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
