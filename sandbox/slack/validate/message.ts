import { isObject, type JsonObject, objects } from '../model.ts';
import { invalidBlocks, Refusal } from '../refusal.ts';
import { checkBlocks } from './blocks.ts';
import { Problems } from './problems.ts';
import { markdownTables } from './tables.ts';

/** Undocumented; measured near 13,200 characters over all blocks (docs/slack.md, Size limits). */
const ALL_BLOCKS_MAX = 13_200;
const MARKDOWN_MAX = 12_000;
const TABLE_CELLS_MAX = 10_000;

function countCharacters(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countCharacters(item), 0);
  if (!isObject(value)) return 0;
  let sum = typeof value.text === 'string' ? value.text.length : 0;
  for (const inner of Object.values(value)) sum += countCharacters(inner);
  return sum;
}

/**
 * Refuses what Slack refuses of a message's blocks, with its error words (docs/slack.md, Size limits; Posting and
 * deleting).
 */
export function validateMessageBlocks(blocks: unknown[]): void {
  if (blocks.length > 50) {
    throw invalidBlocks(['no more than 50 items allowed [json-pointer:/blocks]']);
  }
  const problems = new Problems();
  checkBlocks(blocks, 'message', '/blocks', problems);
  if (problems.hasAny) throw invalidBlocks(problems.list);

  const list = objects(blocks);
  const markdown = list.filter((block) => block.type === 'markdown').map((block) => String(block.text));
  if (markdown.reduce((sum, text) => sum + text.length, 0) > MARKDOWN_MAX) throw new Refusal('msg_blocks_too_long');
  if (countCharacters(list) > ALL_BLOCKS_MAX) throw new Refusal('msg_blocks_too_long');

  const tables = list.filter((block) => block.type === 'table');
  const count = tables.length + markdown.reduce((sum, text) => sum + markdownTables(text), 0);
  if (count > 1) throw new Refusal('invalid_attachments', { messages: ['[ERROR] only_one_table_allowed'] });
  if (tables.reduce((sum, table) => sum + countCharacters(table.rows), 0) > TABLE_CELLS_MAX) {
    throw new Refusal('invalid_attachments', { messages: ['[ERROR] table_character_limit_exceeded'] });
  }
}

export function validateAttachments(attachments: unknown[]): void {
  if (attachments.length > 100) throw new Refusal('too_many_attachments');
  for (const attachment of objects(attachments)) {
    if (Array.isArray(attachment.blocks)) validateMessageBlocks(attachment.blocks);
  }
}

/** Slack does not publish the limit; this leaves room for ids, but not for contents. */
const METADATA_MAX = 8_000;

export function validateMetadata(metadata: unknown): JsonObject {
  if (!isObject(metadata) || typeof metadata.event_type !== 'string' || !isObject(metadata.event_payload)) {
    throw new Refusal('invalid_metadata_format');
  }
  if (JSON.stringify(metadata).length > METADATA_MAX) throw new Refusal('metadata_too_large');
  return metadata;
}
