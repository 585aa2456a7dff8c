import type { SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import { type SlackAnswer, SlackError } from '../api/slack-api.ts';
import type { Uploader } from '../api/uploader.ts';
import type { PostFile, SlackPost } from '../render/post.ts';
import { type Call, lookCall, nextCursor } from './calls.ts';
import { type Ledger, SHARED } from './ledger.ts';
import { closedBy } from './refusal.ts';
import type { Scheduler } from './scheduler.ts';

/** Whether uploads never work here; shared by all turns of a workspace. */
export interface UploadLatch {
  isOff: boolean;
}

export interface UploadParts {
  scheduler: Scheduler;
  ledger: Ledger;
  address: ThreadAddress;
  /** `null`: files cannot be uploaded. */
  uploadFile: Uploader | null;
  latch: UploadLatch;
  clock: Clock;
  log: Log;
}

/**
 * Uploads the files of one turn into its thread. Sharing a file cannot be undone, and if Slack's answer is lost we do
 * not know whether it was shared. So the file's id is stored first; then a later try looks for the file in the thread,
 * and shares it again under the same id if it is not there.
 */
export interface Uploads {
  /** Whether the rest of a text may become a file; once false it stays so. */
  readonly isPossible: boolean;
  /** The first file of these posts that is not in the thread yet. */
  nextFile(posts: readonly SlackPost[]): PostFile | null;
  /** When {@link uploadNextStep} may be called, by the monotonic clock. */
  allowedAt(file: PostFile): number;
  /** Makes the next step of an upload. Rejects with a SlackError when a later try may work. */
  uploadNextStep(file: PostFile): Promise<void>;
}

/**
 * Refusals that concern the app or the workspace, so other turns would get them, too (A:files.getUploadURLExternal).
 */
const NEVER = new Set([
  'file_uploads_disabled',
  'file_uploads_except_images_disabled',
  'missing_scope',
  'not_allowed_token_type',
  'unexpected_upload_url',
]);
/** After so many failures the rest of the text is posted instead. */
const ATTEMPTS = 5;
const LOOK_PAGES = 10;
/** Looks before we upload anew: Slack posts a shared file some time after it confirms (docs/slack.md, Files). */
const LOOKS = 3;

export function createUploads(parts: UploadParts): Uploads {
  const { scheduler, ledger, address, uploadFile, latch, clock, log } = parts;
  let hasGivenUp = false;
  let failures = 0;
  let lookCount = 0;

  const ask = (method: string) => ({ method, channel: address.channel, urgency: 'must' as const });
  const call = (made: Call) => scheduler.call(ask(made.method), made, 'control');

  async function startUpload(file: PostFile, upload: Uploader): Promise<void> {
    const bytes = new TextEncoder().encode(file.content);
    const answer = await call({
      method: 'files.getUploadURLExternal',
      args: { filename: file.name, length: bytes.length },
    });
    const { upload_url: url, file_id: id } = answer as { upload_url?: unknown; file_id?: unknown };
    if (typeof url !== 'string' || typeof id !== 'string') throw new SlackError(METHODS.begin, 'unknown', 'no_url');
    await upload(url, bytes);
    await ledger.saveFileState(file.part, id);
    await completeUpload(file, id);
  }

  async function completeUpload(file: PostFile, id: string): Promise<void> {
    await call({
      method: 'files.completeUploadExternal',
      args: {
        files: [{ id, title: file.title }],
        channel_id: address.channel,
        ...(address.threadTs === null ? {} : { thread_ts: address.threadTs }),
      },
    });
    await ledger.saveFileState(file.part, SHARED);
  }

  /** Goes on when it is not known whether the file was shared: looks for it, then shares it again. */
  async function resumeUpload(file: PostFile, id: string): Promise<void> {
    if (await isInThread(id)) {
      await ledger.saveFileState(file.part, SHARED);
      return;
    }
    try {
      await completeUpload(file, id);
    } catch (error) {
      if (!(error instanceof SlackError) || error.failure !== 'refused') throw error;
      lookCount += 1;
      // Either it was shared and Slack does not show it yet, or Slack has dropped the upload.
      if (lookCount < LOOKS) throw new SlackError(error.method, 'unknown', error.error);
      await ledger.saveFileState(file.part, null);
    }
  }

  async function isInThread(id: string): Promise<boolean> {
    const after: SlackTs = ledger.posts[0]?.ts ?? address.threadTs ?? '0.000000';
    let cursor: string | null = null;
    for (let page = 0; page < LOOK_PAGES; page += 1) {
      const answer: SlackAnswer = await call(lookCall(address, after, cursor));
      if (holdsFile(answer, id)) return true;
      cursor = nextCursor(answer);
      if (cursor === null) return false;
    }
    return false;
  }

  function stopUploading(error: SlackError): void {
    hasGivenUp = true;
    if (error.failure === 'refused' && NEVER.has(error.error)) latch.isOff = true;
    log.warn({ method: error.method, error: error.error }, 'could not upload a file; posting its text instead');
  }

  return {
    get isPossible() {
      return uploadFile !== null && !hasGivenUp && !latch.isOff;
    },
    nextFile(posts) {
      for (const { file } of posts) if (file && ledger.fileState(file.part) !== SHARED) return file;
      return null;
    },
    allowedAt(file) {
      const begun = ledger.fileState(file.part) !== null;
      const methods = begun ? [METHODS.look(address), METHODS.complete] : [METHODS.begin, METHODS.complete];
      return Math.max(...methods.map((method) => scheduler.whenAllowed(ask(method))), clock.monotonic());
    },
    async uploadNextStep(file) {
      if (uploadFile === null) return;
      const id = ledger.fileState(file.part);
      try {
        if (id === null) await startUpload(file, uploadFile);
        else await resumeUpload(file, id);
      } catch (error) {
        if (!(error instanceof SlackError) || error.failure === 'limited') throw error;
        // Slack refuses all our writes there, so posting the text instead would fail, too.
        if (!NEVER.has(error.error) && closedBy(error) !== null) throw error;
        failures += 1;
        if (error.failure === 'unknown' && failures < ATTEMPTS) throw error;
        stopUploading(error);
      }
    },
  };
}

const METHODS = {
  begin: 'files.getUploadURLExternal',
  complete: 'files.completeUploadExternal',
  look: ({ threadTs }: ThreadAddress) => (threadTs === null ? 'conversations.history' : 'conversations.replies'),
};

function holdsFile(answer: SlackAnswer, id: string): boolean {
  const messages: unknown[] = Array.isArray(answer.messages) ? answer.messages : [];
  return messages.some((message) => {
    const { files } = (message ?? {}) as { files?: unknown };
    return Array.isArray(files) && files.some((file: { id?: unknown } | null) => file?.id === id);
  });
}
