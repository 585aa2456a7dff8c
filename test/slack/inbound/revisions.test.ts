import { describe, expect, it } from 'vitest';
import { readRevision } from '../../../src/slack/inbound/revisions.ts';

const us = { teamId: 'T1', botUserId: 'U0BOT', botId: 'B0BOT' };

function said(fields: Record<string, unknown> = {}) {
  return { type: 'message', user: 'U1', text: 'list the files', ts: '1.000001', thread_ts: '1.000000', ...fields };
}

function event(fields: Record<string, unknown>) {
  const envelope = { type: 'event_callback', team_id: 'T1', api_app_id: 'A1' };
  const common = { type: 'message', hidden: true, channel: 'C1', channel_type: 'channel', ts: '9.000001' };
  return { ...envelope, event: { ...common, ...fields } };
}

const edited = (text: string, before = 'list the files') =>
  event({
    subtype: 'message_changed',
    message: said({ text, edited: { user: 'U1', ts: '9.000000' } }),
    previous_message: said({ text: before }),
  });

describe('an edited message', () => {
  it('is read with its new text, under the key it had', () => {
    expect(readRevision(edited('list <#C2|eng>'), us)).toMatchObject({
      kind: 'edited',
      mentionedBefore: false,
      message: { key: 'T1:C1:1.000001', ts: '1.000001', threadTs: '1.000000', user: 'U1', mentionsBot: false },
    });
  });

  it('says whether the bot was mentioned before the edit', () => {
    expect(readRevision(edited('<@U0BOT> list'), us)).toMatchObject({ mentionedBefore: false });
    expect(readRevision(edited('<@U0BOT> list', '<@U0BOT> lst'), us)).toMatchObject({ mentionedBefore: true });
  });

  it('is no edit when Slack only added a preview or reply count', () => {
    const counted = { subtype: 'message_changed', message: said({ reply_count: 2 }), previous_message: said() };
    expect(readRevision(event(counted), us)).toBeNull();
  });

  it('is one without a mark when a file was finished late', () => {
    const late = { subtype: 'message_changed', message: said({ files: [{ id: 'F1' }] }), previous_message: said() };
    expect(readRevision(event(late), us)).toMatchObject({ kind: 'edited', hasAddedFiles: true });
  });

  it('is one without a mark when a file was deleted', () => {
    const message = said({ files: [{ id: 'F1', mode: 'tombstone' }] });
    const changed = { subtype: 'message_changed', message, previous_message: said({ files: [{ id: 'F1' }] }) };
    expect(readRevision(event(changed), us)).toMatchObject({ kind: 'edited', hasAddedFiles: false });
  });

  it('is no edit when its author is a bot', () => {
    for (const who of [
      { user: 'U0BOT', bot_id: 'B0BOT' },
      { user: 'U9', bot_id: 'B9' },
    ]) {
      const message = said({ ...who, edited: { user: who.user, ts: '9.0' } });
      expect(readRevision(event({ subtype: 'message_changed', message, previous_message: message }), us)).toBeNull();
    }
  });
});

describe('a deleted message', () => {
  const gone = { kind: 'deleted', key: 'T1:C1:1.000001', threadTs: '1.000000', user: 'U1', channelKind: 'channel' };

  it('is read with the key it had', () => {
    const deleted = event({ subtype: 'message_deleted', deleted_ts: '1.000001', previous_message: said() });
    expect(readRevision(deleted, us)).toMatchObject({ ...gone, mentionsBot: false });
  });

  it('is recognised by its tombstone when it has replies', () => {
    const message = said({ subtype: 'tombstone', user: 'USLACKBOT', text: 'This message was deleted.' });
    const deleted = event({ subtype: 'message_changed', message, previous_message: said() });
    expect(readRevision(deleted, us)).toMatchObject(gone);
  });

  it('is ignored when its author is unknown', () => {
    expect(readRevision(event({ subtype: 'message_deleted', deleted_ts: '1.000001' }), us)).toBeNull();
  });
});

describe('any other event', () => {
  it('is no edit and no deletion', () => {
    for (const body of [null, {}, event({ subtype: undefined }), event({ subtype: 'channel_join' })])
      expect(readRevision(body, us)).toBeNull();
  });
});
