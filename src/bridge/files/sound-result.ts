import type { ToolPart, ToolResult } from '../tools/result.ts';
import { isSoundImage } from './sound-image.ts';

/** Of all images of one result, as base64: a frame to Letta must stay far below 8 MiB (docs/letta-protocol.md, Images and files in a message). */
const IMAGE_CHARACTERS = 5_000_000;
const NOT_SHOWN = '[An image is left out here: it cannot be shown to you.]';

/** The result without images that Letta could not use: a bad one fails the whole turn. */
export function soundResult({ parts, ...result }: ToolResult): ToolResult {
  let room = IMAGE_CHARACTERS;
  const sound = parts.map((part): ToolPart => {
    if (part.type === 'text') return part;
    if (part.data.length > room || !isSoundImage(Buffer.from(part.data, 'base64')))
      return { type: 'text', text: NOT_SHOWN };
    room -= part.data.length;
    return part;
  });
  return { ...result, parts: sound.length > 0 ? sound : [{ type: 'text', text: 'Done.' }] };
}
