import { imageType } from './kinds.ts';

/**
 * Whether all of an image is there, as its own format says: chunks with their checksums (PNG), markers up to the end (JPEG),
 * the length of the container (WebP), the trailer (GIF). Other formats are not shown to a model.
 */
export function isSoundImage(bytes: Uint8Array): boolean {
  switch (imageType(bytes)) {
    case 'image/png':
      return isSoundPng(bytes);
    case 'image/jpeg':
      return isSoundJpeg(bytes);
    case 'image/gif':
      return bytes.length > 13 && bytes.at(-1) === 0x3b;
    case 'image/webp':
      return bytes.length >= 20 && view(bytes).getUint32(4, true) + 8 <= bytes.length;
    default:
      return false;
  }
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function isSoundPng(bytes: Uint8Array): boolean {
  const data = view(bytes);
  let at = 8;
  for (let isFirst = true; at + 12 <= bytes.length; isFirst = false) {
    const length = data.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = at + 12 + length;
    if (end > bytes.length || (name === 'IHDR') !== isFirst) return false;
    if (isFirst && (length !== 13 || data.getUint32(at + 8) === 0 || data.getUint32(at + 12) === 0)) return false;
    if (crc(bytes.subarray(at + 4, at + 8 + length)) !== data.getUint32(at + 8 + length)) return false;
    if (name === 'IEND') return true;
    at = end;
  }
  return false;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ (TABLE[(value ^ byte) & 0xff] ?? 0);
  return (value ^ 0xffffffff) >>> 0;
}

/** Segments up to the picture's data, a frame among them, and an end behind it. */
function isSoundJpeg(bytes: Uint8Array): boolean {
  const data = view(bytes);
  let hasFrame = false;
  for (let at = 2; at + 9 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return false;
    const marker = bytes[at + 1] ?? 0;
    // Any number of fill bytes may come before a marker.
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === 0xda) return hasFrame && hasEnd(bytes, at);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame && (data.getUint16(at + 5) === 0 || data.getUint16(at + 7) === 0)) return false;
    hasFrame ||= isFrame;
    at += 2 + data.getUint16(at + 2);
  }
  return false;
}

function hasEnd(bytes: Uint8Array, from: number): boolean {
  for (let at = bytes.length - 2; at > from; at -= 1) if (bytes[at] === 0xff && bytes[at + 1] === 0xd9) return true;
  return false;
}
