import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isInside, relativeTo } from '../../bridge/approvals/auto-approval/paths.ts';
import { looksSecret } from '../../bridge/approvals/auto-approval/secret-names.ts';
import { imageType } from '../../bridge/files/kinds.ts';
import { Slots } from '../../bridge/files/slots.ts';
import { sizeText } from '../../bridge/text/file-label.ts';
import { fails, says, type ToolResult } from '../../bridge/tools/result.ts';
import type { ToolCall, ToolHandler } from '../../bridge/tools/tool.ts';
import { pause } from '../api/pause.ts';
import { type SlackAnswer, SlackError } from '../api/slack-api.ts';
import { nextCursor } from '../outbox/calls.ts';
import { cleanName } from '../people/clean-name.ts';
import { deviceFileWords, TOOL_WORDS } from '../words/tools.ts';
import { planning, recalling, resulting, ToolRefused } from './calls.ts';
import type { ToolParts } from './parts.ts';
import { mayMention, renderComment } from './texts.ts';

type Call = ToolCall<'slack_upload_file'>;

const TITLE = 200;
const ALT_TEXT = 1_000;
/** After a lost answer: when it is looked whether the file is in the thread, in ms. */
const LOOKS_MS = [1_000, 3_000, 10_000];
/** Where an upload is looked for after a restart: messages of a page, and pages. */
const LOOK_PAGE = 200;
const LOOK_PAGES = 5;

/** Files in memory at once, over all threads. */
const AT_ONCE = 2;

interface ReadFile {
  path: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** Of path and content. */
  seal: string;
}

const uploadUrl = z.looseObject({ upload_url: z.string(), file_id: z.string() });
const share = z.looseObject({ ts: z.string(), thread_ts: z.string().nullish() });
const shares = z.record(z.string(), z.array(share)).nullish();
const info = z.looseObject({
  file: z.looseObject({ shares: z.looseObject({ public: shares, private: shares }).nullish() }),
});
const page = z.looseObject({
  messages: z.array(
    z.looseObject({
      user: z.string().nullish(),
      files: z.array(z.looseObject({ name: z.string().nullish(), size: z.number().nullish() })).nullish(),
    }),
  ),
});

/**
 * `slack_upload_file`: a file of the agent's machine into the thread. Without a card only what is below the working
 * directory and does not look secret, as for reading it. A shared file cannot be taken back, so after a lost answer it is
 * looked for, and never shared twice.
 */
export function createUploadFile(parts: ToolParts): ToolHandler<'slack_upload_file'> {
  const { api, upload, clock, nameOf, botUser } = parts;
  const slots = new Slots(AT_ONCE);

  /** Runs with a file's bytes, of which only a few are in memory at once. */
  async function withFile<Result>(call: Call, run: (file: ReadFile) => Promise<Result>): Promise<Result> {
    const giveBack = await slots.take(call.signal);
    try {
      return await run(await read(call));
    } finally {
      giveBack();
    }
  }

  async function read({ input, device }: Call): Promise<ReadFile> {
    const path = wholePath(input.path, device.workingDirectory);
    const file = await device.readBytes(path, input.bytes ?? null);
    if ('refused' in file) throw new ToolRefused(deviceFileWords(file.refused, file.most));
    if (file.bytes.length === 0) throw new ToolRefused(TOOL_WORDS.emptyFile);
    const bytes = new Uint8Array(file.bytes);
    return { path, bytes, seal: createHash('sha256').update(path).update('\0').update(bytes).digest('hex') };
  }

  async function share(call: Call, path: string, bytes: Uint8Array<ArrayBuffer>): Promise<ToolResult> {
    const { input, address, signal } = call;
    if (upload === null) throw new ToolRefused(TOOL_WORDS.noUploads);
    const comment = input.comment === undefined ? '' : renderComment(input.comment, mayMention(call), nameOf);
    if (comment === null) throw new ToolRefused(TOOL_WORDS.tooLong);
    const name = fileName(path);
    const title = cleanTitle(input.title ?? '') || name;
    const isImage = imageType(bytes) !== null;
    const about = isImage && { alt_txt: cleanTitle(input.title ?? input.comment ?? name, ALT_TEXT) };
    const begun = await api('files.getUploadURLExternal', { filename: name, length: bytes.length, ...about }, signal);
    const { upload_url: url, file_id: id } = uploadUrl.parse(begun);
    await upload(url, bytes, signal);
    const done = says(TOOL_WORDS.uploaded(name, bytes.length));
    try {
      const place = { channel_id: address.channel, ...(address.threadTs !== null && { thread_ts: address.threadTs }) };
      const words = comment === '' ? {} : { initial_comment: comment };
      await api('files.completeUploadExternal', { files: [{ id, title }], ...place, ...words }, signal);
      return done;
    } catch (error) {
      if (!(error instanceof SlackError) || error.failure !== 'unknown') throw error;
      return (await isShared(call, id)) ? done : fails(TOOL_WORDS.uploadUnknown);
    }
  }

  /** Slack tells where a file is shared some time after it has shared it (docs/slack.md, Files). */
  async function isShared({ address, signal }: Call, id: string): Promise<boolean> {
    for (const ms of LOOKS_MS) {
      if (!(await pause(clock, ms, signal))) return false;
      const answer = await api('files.info', { file: id }, signal).catch((error: unknown) => {
        if (error instanceof SlackError) return null;
        throw error;
      });
      const known = info.safeParse(answer).data?.file.shares;
      if (known?.public?.[address.channel] || known?.private?.[address.channel]) return true;
    }
    return false;
  }

  /** Whether the thread holds a file of ours with this name and size. */
  async function isInThread({ address, signal }: Call, name: string, size: number): Promise<boolean> {
    const { channel, threadTs } = address;
    const isIt = (file: { name?: string | null | undefined; size?: number | null | undefined }) =>
      file.name === name && file.size === size;
    let cursor: string | null = '';
    for (let n = 0; n < LOOK_PAGES && cursor !== null; n += 1) {
      const args = { channel, limit: LOOK_PAGE, ...(cursor !== '' && { cursor }) };
      const answer: SlackAnswer =
        threadTs === null
          ? await api('conversations.history', args, signal)
          : await api('conversations.replies', { ...args, ts: threadTs }, signal);
      const messages = page.safeParse(answer).data?.messages ?? [];
      if (messages.some(({ user, files }) => user === botUser && (files ?? []).some(isIt))) return true;
      cursor = nextCursor(answer);
    }
    return false;
  }

  return {
    prepare: (call) =>
      planning(() =>
        withFile(call, async ({ path, bytes, seal }) => {
          if (isUsual(path, call.device.workingDirectory)) return { may: 'run', seal };
          return { may: 'ask', facts: [path, `${sizeText(bytes.length)}, into this thread`], seal };
        }),
      ),
    run: (call, plan) =>
      resulting(() =>
        withFile(call, async ({ path, bytes, seal }) => {
          if (seal !== plan.seal) throw new ToolRefused(TOOL_WORDS.fileChanged);
          return share(call, path, bytes);
        }),
      ),
    recall: (call) =>
      recalling(() =>
        withFile(call, async ({ path, bytes }) => {
          const name = fileName(path);
          // Slack shows a file in its thread some time after it has taken it.
          for (const ms of [0, ...LOOKS_MS]) {
            if (ms > 0 && !(await pause(clock, ms, call.signal))) break;
            if (await isInThread(call, name, bytes.length)) return says(TOOL_WORDS.foundUpload(name));
          }
          return fails(TOOL_WORDS.uploadNotFound);
        }),
      ),
  };
}

/** The whole path of what a model wrote. Throws a ToolRefused. */
function wholePath(path: string, workingDirectory: string | null): string {
  if (path.startsWith('~')) throw new ToolRefused(TOOL_WORDS.noHomePath);
  if (path.startsWith('/')) return path;
  if (workingDirectory === null) throw new ToolRefused(TOOL_WORDS.needsAbsolutePath);
  return `${workingDirectory.replace(/\/+$/, '')}/${path.replace(/^(?:\.\/+)+/, '')}`;
}

/** Whether a file may be handed over without a card: where the agent may read it without one. */
function isUsual(path: string, workingDirectory: string | null): boolean {
  if (workingDirectory === null || !isInside(path, workingDirectory)) return false;
  const relative = relativeTo(path, workingDirectory);
  return relative !== '' && !looksSecret(relative);
}

/** The file's name as people see it. */
function fileName(path: string): string {
  return cleanName(path.split('/').at(-1) ?? '') || 'file';
}

function cleanTitle(words: string, most = TITLE): string {
  const line = words
    .replace(/\p{Cf}/gu, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  return Array.from(line).slice(0, most).join('');
}
