import type { FileRef } from '../inbound.ts';

/** Bytes of the device that a name may have; base64 pieces add some. */
const NAME = 80;

const starts = (bytes: Uint8Array, ...wanted: number[]) => wanted.every((byte, at) => bytes[at] === byte);
const ascii = (bytes: Uint8Array, from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));

/**
 * The media type of a picture that Letta takes (docs/letta-protocol.md, Images and files in a message); `null`: it is none.
 * Judged by its bytes, because a label may be wrong and a wrong picture would be left out silently.
 */
export function imageType(bytes: Uint8Array): string | null {
  if (starts(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'image/png';
  if (starts(bytes, 0xff, 0xd8, 0xff)) return 'image/jpeg';
  if (/^GIF8[79]a$/.test(ascii(bytes, 0, 6))) return 'image/gif';
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') return 'image/webp';
  if (starts(bytes, 0x49, 0x49, 0x2a, 0x00) || starts(bytes, 0x4d, 0x4d, 0x00, 0x2a)) return 'image/tiff';
  if (/^ftypavi[fs]$/.test(ascii(bytes, 4, 12))) return 'image/avif';
  return isSvg(ascii(bytes, 0, 1_000)) ? 'image/svg+xml' : null;
}

/**
 * Whether a picture has the end that its type has, and a size: one that was cut off fails the turn that it is returned to
 * (docs/letta-protocol.md, External tools). It says nothing of what is in between.
 */
export function isWholePicture(type: string, bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { length } = bytes;
  switch (type) {
    case 'image/png':
      return (
        length >= 57 &&
        ascii(bytes, 12, 16) === 'IHDR' &&
        view.getUint32(16) > 0 &&
        view.getUint32(20) > 0 &&
        ascii(bytes, length - 8, length - 4) === 'IEND'
      );
    case 'image/jpeg':
      return length > 100 && bytes.lastIndexOf(0xd9) > length - 64 && bytes[bytes.lastIndexOf(0xd9) - 1] === 0xff;
    case 'image/gif':
      return length > 26 && view.getUint16(6, true) > 0 && view.getUint16(8, true) > 0 && bytes.lastIndexOf(0x3b) > 26;
    case 'image/webp':
      return length > 20 && view.getUint32(4, true) + 8 <= length;
    // What the others end with is not fixed, so the agent gets them as files.
    default:
      return false;
  }
}

/** Whether the root element is `svg`: comments, an XML declaration and a document type may come first. */
function isSvg(head: string): boolean {
  const rest = head.replace(/^\s*(?:ï»¿)?\s*/, '');
  if (/^<svg[\s/>]/i.test(rest)) return true;
  return /^<(?:\?xml|!--|!DOCTYPE svg)/i.test(rest) && /<svg[\s/>]/i.test(rest) && !/<html[\s>]/i.test(rest);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text that these bytes are, exactly; `null`: they are not UTF-8, or hold what no text has. */
export function textOf(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * A name for the agent's machine out of a foreign one: letters, digits, `.`, `_`, `-` only, so that it needs no quotes in a
 * command, leads nowhere else and hides nothing. The same file of the same message always has the same name.
 * @param ts of the message
 */
export function deviceName(ts: string, { id, name }: Pick<FileRef, 'id' | 'name'>): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[^A-Za-z0-9._-]+/g, '_')
    .replace(/\.{2,}/g, '.')
    .replace(/^[._-]+|[._-]+$/g, '');
  const dot = plain.lastIndexOf('.');
  const ending = dot > 0 && plain.length - dot <= 12 ? plain.slice(dot) : '';
  const stem = plain.slice(0, plain.length - ending.length).slice(0, NAME - ending.length);
  return `${safeWord(ts)}-${safeWord(id)}-${stem || 'file'}${ending}`;
}

/** A word of ours or of Slack's as a name of a file or folder. */
export function safeWord(word: string): string {
  return (
    word
      .replace(/[^A-Za-z0-9._-]/g, '_')
      .replace(/^\.+/, '_')
      .slice(0, 100) || '_'
  );
}
