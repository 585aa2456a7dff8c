import { describe, expect, it } from 'vitest';
import { askForFile, whyNotAsked } from '../../src/letta/device-file.ts';
import type { ResponseFrame } from '../../src/letta/protocol/incoming.ts';
import type { OutgoingFrame } from '../../src/letta/protocol/outgoing.ts';
import type { Ask } from '../../src/letta/requests.ts';

const MIB = 1024 * 1024;

function deviceThat(answers: Record<string, unknown> | null) {
  const asked: OutgoingFrame[] = [];
  const ask = async (type: ResponseFrame['type'], make: (requestId: string) => OutgoingFrame) => {
    asked.push(make('r1'));
    return answers && { type, request_id: 'r1', ...answers };
  };
  return { ask: ask as unknown as Ask, asked };
}

describe('a file of the machine over a link of its own', () => {
  it('is asked for as base64, by its path', async () => {
    const { ask, asked } = deviceThat({ success: true, content: 'AAEC/w==' });
    expect(await askForFile(ask, '/p/a.bin', 'own', null)).toEqual({ bytes: Buffer.from([0, 1, 2, 255]) });
    expect(asked).toEqual([{ type: 'read_file', request_id: 'r1', path: '/p/a.bin', encoding: 'base64' }]);
  });

  it.each([
    ['ENOENT: no such file or directory, open', 'missing'],
    ['EISDIR: illegal operation on a directory, read', 'folder'],
    ['File too large for base64 read (max 25MB)', 'too_large'],
    ['EACCES: permission denied', 'unreadable'],
  ])('refused with "%s": %s', async (error, refused) => {
    const { ask } = deviceThat({ success: false, content: null, error });
    expect(await askForFile(ask, '/p/a', 'own', null)).toEqual({ refused, most: 25 * MIB });
  });

  it('needs no size, and may have 25 MiB', () => {
    expect(whyNotAsked('own', null)).toBeNull();
    expect(whyNotAsked('own', 25 * MIB)).toBeNull();
    expect(whyNotAsked('own', 25 * MIB + 1)).toMatchObject({ refused: 'too_large' });
  });

  it('without an answer: told so', async () => {
    expect(await askForFile(deviceThat(null).ask, '/p/a', 'own', null)).toBeNull();
  });
});

describe('a file of the machine over the link of the turn', () => {
  it('needs its size first, so that no frame is above 8 MiB', () => {
    expect(whyNotAsked('of-the-turn', null)).toMatchObject({ refused: 'size_needed' });
    const most = 6 * MIB - 4_096;
    expect(whyNotAsked('of-the-turn', most)).toBeNull();
    expect(Math.ceil(most / 3) * 4).toBeLessThan(8 * MIB);
    expect(whyNotAsked('of-the-turn', most + 1)).toMatchObject({ refused: 'too_large', most });
  });

  it('of another size than was told: refused', async () => {
    const { ask } = deviceThat({ success: true, content: 'AAEC/w==' });
    expect(await askForFile(ask, '/p/a', 'of-the-turn', 4)).toMatchObject({ bytes: Buffer.from([0, 1, 2, 255]) });
    expect(await askForFile(ask, '/p/a', 'of-the-turn', 3)).toMatchObject({ refused: 'other_size' });
  });
});
