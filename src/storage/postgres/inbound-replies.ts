import { asBridgeError, BridgeError } from '../../errors.ts';
import type { StoredReply } from '../house.ts';

export type Answer = { ok: true; reply: StoredReply } | { ok: false; error: BridgeError };

export function readReply(text: string): Answer {
  const read = JSON.parse(text) as { reply?: StoredReply; failed?: { message: string; certain: boolean } };
  if (!read.failed) return { ok: true, reply: read.reply };
  const { message, certain } = read.failed;
  return {
    ok: false,
    error: new BridgeError('no_owner', `its owner could not handle it: ${message}`, { certain, retry: true }),
  };
}

/** The stored form of what the owner answered. */
export function replyToText(answer: { reply: StoredReply } | { error: unknown }): string {
  if ('reply' in answer) return JSON.stringify({ reply: answer.reply });
  const { message, certain } = asBridgeError(answer.error);
  return JSON.stringify({ failed: { message, certain } });
}
