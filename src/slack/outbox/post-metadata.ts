/**
 * Marks our messages, so that a look finds them again. It holds ids only, because anybody in the workspace can read it
 * (docs/slack.md, Posting and deleting).
 */
export const METADATA_TYPE = 'letta_bridge_post';
