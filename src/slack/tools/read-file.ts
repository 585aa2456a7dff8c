import { z } from 'zod';
import type { SlackTs } from '../../bridge/ids.ts';
import type { FileRef } from '../../bridge/inbound.ts';
import type { Random } from '../../bridge/ports.ts';
import type { HandedFile } from '../../bridge/record/thread-record.ts';
import { fails, type ToolPart, type ToolResult } from '../../bridge/tools/result.ts';
import type { ToolCall, ToolDevice, ToolHandler } from '../../bridge/tools/tool.ts';
import { type FileNote, fileNoteLines, missingLine, shownTexts } from '../../bridge/turn/file-notes.ts';
import type { ImagePart } from '../../bridge/turn/input-content.ts';
import { quoted } from '../../bridge/turn/prompt.ts';
import type { SlackAnswer } from '../api/slack-api.ts';
import { readFile } from '../inbound/files.ts';
import { nextCursor } from '../outbox/calls.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { planning, resulting, ToolRefused } from './calls.ts';
import type { ToolParts } from './parts.ts';

type Call = ToolCall<'slack_read_file'>;

/** What became of a file that the agent asked for: a picture to look at, anything else on its machine. */
interface GivenFile {
  note: FileNote;
  images: readonly ImagePart[];
  handed: readonly HandedFile[];
}

/** Gives a file to the agent of a call (`bridge/files/give-one.ts`). Rejects with the signal's reason. */
export type GiveFile = (
  file: FileRef,
  at: { team: string; channel: string; ts: SlackTs },
  device: ToolDevice,
  signal: AbortSignal,
) => Promise<GivenFile>;

const ID = /^F[A-Z0-9]{2,40}$/;
const share = z.looseObject({ ts: z.string(), thread_ts: z.string().nullish() });
const shares = z.record(z.string(), z.array(share)).nullish().catch(null);
const info = z.looseObject({
  file: z.looseObject({ shares: z.looseObject({ public: shares, private: shares }).nullish().catch(null) }),
});
const page = z.looseObject({
  messages: z.array(z.looseObject({ ts: z.string(), files: z.array(z.unknown()).nullish() })),
});
/** Pages of the thread in which a file is looked for, if Slack does not say where it is shared. */
const PAGES = 3;
const SEAL = 8;

/** `slack_read_file`: a file that was shared in this thread. */
export function createReadFile(parts: ToolParts & { give: GiveFile }): ToolHandler<'slack_read_file'> {
  const { api, give, random } = parts;

  /** The file, and the message of this thread that it is in. */
  async function find(call: Call): Promise<{ file: FileRef; ts: SlackTs }> {
    const { input, address, signal } = call;
    if (!ID.test(input.file_id)) throw new ToolRefused(TOOL_WORDS.notAFile);
    const answer = await api('files.info', { file: input.file_id }, signal);
    const told = info.safeParse(answer);
    const file = told.success ? readFile({ ...told.data.file, id: input.file_id }) : null;
    if (!told.success || !file) throw new ToolRefused(TOOL_WORDS.notYourThread);
    const known = told.data.file.shares ?? {};
    const here = [known.public, known.private].flatMap((each) => each?.[address.channel] ?? []);
    const shared = here.find(({ ts, thread_ts }) => isInThread(call, ts, thread_ts ?? null));
    const ts = shared?.ts ?? (await lookInThread(call, input.file_id));
    if (ts === null) throw new ToolRefused(TOOL_WORDS.notYourThread);
    return { file, ts };
  }

  async function lookInThread({ address, signal }: Call, id: string): Promise<SlackTs | null> {
    const { channel, threadTs } = address;
    let cursor: string | null = '';
    for (let n = 0; n < PAGES && cursor !== null; n += 1) {
      const args = { channel, limit: 200, ...(cursor !== '' && { cursor }) };
      const answer: SlackAnswer =
        threadTs === null
          ? await api('conversations.history', args, signal)
          : await api('conversations.replies', { ...args, ts: threadTs }, signal);
      const found = page
        .safeParse(answer)
        .data?.messages.find(({ files }) => files?.some((each) => (each as { id?: unknown } | null)?.id === id));
      if (found) return found.ts;
      cursor = nextCursor(answer);
    }
    return null;
  }

  return {
    prepare: (call) => planning(async () => ({ may: 'run', seal: (await find(call)).file.id })),
    run: (call) =>
      resulting(async () => {
        const { file, ts } = await find(call);
        const at = { team: call.team, channel: call.address.channel, ts };
        const given = await give(file, at, call.device, call.signal);
        return resultOf(given, random);
      }),
  };
}

function isInThread({ address }: Call, ts: SlackTs, threadTs: SlackTs | null): boolean {
  if (address.threadTs === null) return threadTs === null || threadTs === ts;
  return ts === address.threadTs || threadTs === address.threadTs;
}

function resultOf({ note, images, handed }: GivenFile, random: Random): ToolResult {
  if (note.how === 'missing') return fails(TOOL_WORDS.fileMissing(missingLine(note)));
  let seal = random.id().slice(0, SEAL);
  while (shownTexts([note]).some((text) => text.includes(seal))) seal = random.id().slice(0, SEAL);
  const line = (text: string) => `[${seal}] ${text}`;
  const lines = note.how === 'image' ? [TOOL_WORDS.image(quoted(note.file.name))] : fileNoteLines(note, line, quoted);
  const pictures = images.map(({ data, mediaType }): ToolPart => ({ type: 'image', data, mediaType }));
  return { parts: [{ type: 'text', text: lines.join('\n') }, ...pictures], ...(handed.length > 0 && { handed }) };
}
