import type { ToolPart, ToolResult } from './result.ts';

/** Letta cuts a longer text and writes the rest to a file of its machine (docs/letta-protocol.md, External tools). */
const MOST = 32_000;
/** Room for the mark. */
const KEPT = MOST - 200;

/** A result whose texts together fit what the model is shown of one call; a mark says how much was left out. */
export function limitResult({ parts, ...result }: ToolResult): ToolResult {
  // Letta joins texts by a line break.
  const whole = parts.reduce((sum, part) => sum + (part.type === 'text' ? part.text.length + 1 : 0), -1);
  if (whole <= MOST) return { parts, ...result };
  let room = KEPT;
  const kept = parts.flatMap((part): ToolPart[] => {
    if (part.type === 'image') return [part];
    const text = cut(part.text, Math.max(0, room));
    room -= text.length + 1;
    return text === '' ? [] : [{ ...part, text }];
  });
  const shown = kept.reduce((sum, part) => sum + (part.type === 'text' ? part.text.length + 1 : 0), -1);
  const mark = `[… ${(whole - shown).toLocaleString('en-US')} more characters are left out here. Ask for less at once.]`;
  return { ...result, parts: [...kept, { type: 'text', text: mark }] };
}

/** The beginning of a text, never half of a pair of units. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
