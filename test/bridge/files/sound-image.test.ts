import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSoundImage } from '../../../src/bridge/files/sound-image.ts';
import { soundResult } from '../../../src/bridge/files/sound-result.ts';

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
const PNG = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  chunk('IHDR', header),
  chunk('IDAT', deflateSync(Buffer.from([0, 255, 0, 0]))),
  chunk('IEND', Buffer.alloc(0)),
]);
const JPEG = Buffer.from('ffd8ffc0000b080001000101011100ffda0008010100003f00d2ffd9', 'hex');
const GIF = Buffer.from(
  '47494638396101000100800000ff000000000021f90400000000002c00000000010001000002024401003b',
  'hex',
);

describe('an image of a tool', () => {
  it('is sound when all of it is there', () => {
    for (const bytes of [PNG, JPEG, GIF]) expect(isSoundImage(bytes)).toBe(true);
  });

  it('is not when it is cut off anywhere', () => {
    fc.assert(
      fc.property(fc.constantFrom(PNG, JPEG, GIF), fc.nat(), (bytes, cut) => {
        expect(isSoundImage(bytes.subarray(0, cut % bytes.length))).toBe(false);
      }),
    );
  });

  it('is not when one byte of a PNG is another', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: PNG.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(PNG);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        expect(isSoundImage(bytes)).toBe(false);
      }),
    );
  });

  it('is replaced by words where Letta could not use it', () => {
    const image = (bytes: Buffer) =>
      ({ type: 'image', data: bytes.toString('base64'), mediaType: 'image/png' }) as const;
    const { parts } = soundResult({ parts: [image(PNG), image(PNG.subarray(0, 30))] });
    expect(parts.map(({ type }) => type)).toEqual(['image', 'text']);
  });
});
