import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCommand } from '../../../src/bridge/files/base64-way.ts';
import { deviceName, imageType, safeWord, textOf } from '../../../src/bridge/files/kinds.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('the kind of a file', () => {
  it('is judged by its bytes, not by its name', () => {
    expect(imageType(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))).toBe('image/png');
    expect(imageType(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0))).toBe('image/jpeg');
    expect(imageType(bytes('GIF89a'))).toBe('image/gif');
    expect(imageType(bytes('RIFF....WEBPVP8 '))).toBe('image/webp');
    expect(imageType(bytes('....ftypavif'))).toBe('image/avif');
    expect(imageType(Uint8Array.of(0x4d, 0x4d, 0x00, 0x2a))).toBe('image/tiff');
  });

  it('is SVG only where that is the root element', () => {
    expect(imageType(bytes('<svg xmlns="http://www.w3.org/2000/svg"/>'))).toBe('image/svg+xml');
    expect(imageType(bytes('<?xml version="1.0"?>\n<!-- a -->\n<svg/>'))).toBe('image/svg+xml');
    expect(imageType(bytes('<!DOCTYPE html><html><svg/></html>'))).toBeNull();
    expect(imageType(bytes('use <svg> here'))).toBeNull();
  });

  it('is none of these for what Letta refuses', () => {
    for (const other of ['BM......', '%PDF-1.4', 'PK\u0003\u0004', '....ftypheic', '']) {
      expect(imageType(bytes(other))).toBeNull();
    }
  });

  it('is text only for exact UTF-8 without zeros', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (some) => {
        const text = textOf(some);
        return text === null || Buffer.from(text).equals(Buffer.from(some));
      }),
    );
    expect(textOf(bytes('\ufeffgrün\r\n'))).toBe('\ufeffgrün\r\n');
    expect(textOf(Uint8Array.of(0x61, 0))).toBeNull();
    expect(textOf(Uint8Array.of(0xff, 0xfe))).toBeNull();
  });
});

describe('a name on the agent’s machine', () => {
  const TS = '1767603600.000100';

  it('keeps what people recognise', () => {
    expect(deviceName(TS, { id: 'F1', name: 'Übersicht Müller.pdf' })).toBe(`${TS}-F1-Ubersicht_Muller.pdf`);
    expect(deviceName(TS, { id: 'F1', name: '日本.tar.gz' })).toBe(`${TS}-F1-tar.gz`);
    expect(deviceName(TS, { id: 'F1', name: '' })).toBe(`${TS}-F1-file`);
  });

  it('leads nowhere else, needs no quotes, and is short', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom(
        '../../.ssh/authorized_keys',
        '/etc/passwd',
        '.bashrc',
        'a\u202egnp.exe',
        '-rf',
        'a;rm -rf ~',
        '..',
      ),
    );
    fc.assert(
      fc.property(hostile, hostile, (name, id) => {
        const made = deviceName(TS, { id, name });
        expect(made).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/);
        expect(made.length).toBeLessThan(220);
        expect(safeWord(name)).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);
      }),
    );
  });

  it('makes a command of its pieces that changes only the file', () => {
    expect(decodeCommand('~/in/a.zip', 2)).toBe('cat ~/in/a.zip.b64.1 ~/in/a.zip.b64.2 | base64 -d > ~/in/a.zip');
  });
});
