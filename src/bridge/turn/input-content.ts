/** A picture as the model gets it. `data`: base64. */
export interface ImagePart {
  type: 'image';
  mediaType: string;
  data: string;
}

/** What a turn begins with: text alone, or text and the pictures that it names. */
export type InputContent = string | readonly [{ type: 'text'; text: string }, ...ImagePart[]];

/** Its text without the pictures. */
export function textOfInput(content: InputContent): string {
  return typeof content === 'string' ? content : content[0].text;
}
