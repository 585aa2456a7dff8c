/**
 * Marks our messages, so that a look finds them again. It holds ids only, because anybody in the workspace can read it
 * (docs/slack.md, Posting and deleting).
 */
export const METADATA_TYPE = 'letta_bridge_post';

/** The part of a message that the agent posted with a tool; its `turn` is the key of the call. */
export const TOOL_PART = 'tool';
