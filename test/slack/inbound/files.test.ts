import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filesOf, readFile } from '../../../src/slack/inbound/files.ts';

const png = { id: 'F1', name: 'a.png', mimetype: 'image/png', size: 12, mode: 'hosted', url_private: 'https://x' };

describe('the files of a message', () => {
  it('are kept without their addresses', () => {
    expect(filesOf({ files: [png] })).toEqual([{ id: 'F1', name: 'a.png', mimetype: 'image/png', size: 12 }]);
  });

  it('say why Slack has no content for them', () => {
    const files = [
      { id: 'F1', mode: 'tombstone' },
      { id: 'F2', mode: 'hidden_by_limit' },
      { id: 'F3', name: 'Plan', mode: 'external', is_external: true },
      { id: 'F4', mode: 'file_access', file_access: 'check_file_info' },
    ];
    expect(filesOf({ files }).map(({ withheld }) => withheld)).toEqual(['deleted', 'too_old', 'external', undefined]);
  });

  it('carry what Slack understood of a voice clip', () => {
    const transcription = { status: 'complete', preview: { content: 'Deploy it', has_more: false } };
    expect(readFile({ id: 'F1', name: 'clip.mp4', subtype: 'slack_audio', transcription })).toMatchObject({
      clip: 'audio',
      transcript: 'Deploy it',
    });
  });

  it('include those of a forwarded message, each once', () => {
    const attachments = [
      { is_share: true, files: [png, { id: 'F2', name: 'b.pdf' }] },
      { title: 'a link preview', files: [{ id: 'F3', name: 'c.pdf' }] },
    ];
    expect(filesOf({ files: [png], attachments })).toMatchObject([
      { id: 'F1', name: 'a.png' },
      { id: 'F2', name: 'b.pdf', forwarded: true },
    ]);
    expect(filesOf({ files: [png], attachments })[0]).not.toHaveProperty('forwarded');
  });

  it('are read from anything without an error, and never many', () => {
    const anyFile = fc.record({ id: fc.string(), name: fc.anything(), size: fc.anything(), mode: fc.anything() });
    const files = fc.oneof(fc.anything(), fc.array(fc.oneof(anyFile, fc.constant(png)), { maxLength: 80 }));
    fc.assert(fc.property(files, files, (a, b) => filesOf({ files: a, attachments: b }).length <= 50));
  });
});
