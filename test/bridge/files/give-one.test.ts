import { describe, expect, it } from 'vitest';
import { giveFile } from '../../../src/bridge/files/give-one.ts';
import { FileHandOver } from '../../../src/bridge/files/hand-over.ts';
import { isWholePicture } from '../../../src/bridge/files/kinds.ts';
import type { FileRef } from '../../../src/bridge/inbound.ts';
import { systemRandom } from '../../../src/clock.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

/** A picture of one point. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const AT = { team: 'T1', channel: 'C1', ts: '1700000000.000001' };

async function give(bytes: Uint8Array, name: string) {
  const written = new Map<string, string>();
  const file: FileRef = { id: 'F1', name, mimetype: null, size: bytes.length };
  const files = new FileHandOver({
    files: {
      open: async () => ({
        file,
        bytes: (async function* () {
          yield bytes;
        })(),
      }),
    },
    clock: createFakeClock(),
    random: systemRandom,
    log: createMemoryLog(),
    keptMs: 1_000,
  });
  const connection = {
    writeFile: async (path: string, text: string) => {
      written.set(path, text);
      return true;
    },
    readFile: async () => null,
  };
  const machine = { connection, id: 'device-1', conversation: 'conv-1' };
  return { ...(await giveFile(files, file, AT, machine, new AbortController().signal)), written };
}

describe('a file that the agent asks for', () => {
  it('a picture: given as one', async () => {
    const { note, images, handed } = await give(PNG, 'a.png');
    expect(note.how).toBe('image');
    expect(images).toEqual([{ type: 'image', mediaType: 'image/png', data: PNG.toString('base64') }]);
    expect(handed).toEqual([]);
  });

  it('a picture without its end: put on its machine', async () => {
    const { note, images, written } = await give(PNG.subarray(0, 40), 'a.png');
    expect([note.how, images]).toEqual(['file', []]);
    expect([...written.keys()]).toHaveLength(1);
  });

  it('a text: put on its machine, and shown', async () => {
    const { note, handed } = await give(Buffer.from('a,b\n1,2\n'), 'a.csv');
    expect(note).toMatchObject({ how: 'file', text: 'a,b\n1,2\n' });
    expect(handed).toHaveLength(1);
  });
});

describe('a whole picture', () => {
  it.each([
    ['image/png', PNG],
    ['image/gif', Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')],
    [
      'image/jpeg',
      Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(200, 1), Buffer.from([0xff, 0xd9])]),
    ],
  ])('%s: is known by its end', (type, bytes) => {
    expect(isWholePicture(type, bytes)).toBe(true);
    expect(isWholePicture(type, bytes.subarray(0, bytes.length - 12))).toBe(false);
  });

  it('of a type whose end is not fixed: is not', () => {
    expect(isWholePicture('image/svg+xml', Buffer.from('<svg/>'))).toBe(false);
  });
});
