import { isObject, type JsonObject, objects } from '../model.ts';

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return isObject(value) && typeof value.text === 'string' ? value.text : '';
}

/** The `text` Slack writes for a message that came with blocks only. */
export function fallbackText(blocks: JsonObject[]): string {
  const parts: string[] = [];
  for (const block of blocks) {
    if (block.type === 'header') parts.push(`*${textOf(block.text)}*`);
    if (block.type === 'section' || block.type === 'markdown') parts.push(textOf(block.text));
    if (block.type === 'context') parts.push(...objects(block.elements).map((element) => textOf(element.text)));
  }
  const text = parts.filter((part) => part !== '').join(' ');
  return text === '' ? "This content can't be displayed." : text;
}
