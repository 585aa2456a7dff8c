import { z } from 'zod';
import type { FileRef } from '../../bridge/inbound.ts';

/** More files than people can attach to one message. */
const FILES = 50;
const NAME = 255;
const TRANSCRIPT = 4_000;

const words = z.string().nullish().catch(null);

const file = z.looseObject({
  id: z.string().regex(/^F[A-Z0-9]{1,40}$/),
  name: words,
  title: words,
  mimetype: words,
  size: z.number().nonnegative().nullish().catch(null),
  mode: words,
  file_access: words,
  is_external: z.boolean().nullish().catch(null),
  subtype: words,
  transcription: z
    .looseObject({ preview: z.looseObject({ content: words }).nullish().catch(null) })
    .nullish()
    .catch(null),
});

const list = z.array(z.unknown()).catch([]);
const quoting = z.looseObject({
  is_share: z.boolean().nullish().catch(null),
  is_msg_unfurl: z.boolean().nullish().catch(null),
  files: list.optional(),
});

/** Modes and accesses in which there is no content (docs/slack.md, Files). */
const WITHHELD: Readonly<Record<string, FileRef['withheld']>> = {
  tombstone: 'deleted',
  file_not_found: 'deleted',
  hidden_by_limit: 'too_old',
  external: 'external',
};

/** A file object of Slack's; `null` when it is none. */
export function readFile(value: unknown): FileRef | null {
  const parsed = file.safeParse(value);
  if (!parsed.success) return null;
  const { id, name, title, mimetype, size, mode, file_access, is_external, subtype, transcription } = parsed.data;
  const withheld = is_external ? 'external' : (WITHHELD[mode ?? ''] ?? WITHHELD[file_access ?? '']);
  const clip = subtype === 'slack_audio' ? 'audio' : subtype === 'slack_video' ? 'video' : undefined;
  const transcript = transcription?.preview?.content?.slice(0, TRANSCRIPT);
  return {
    id,
    name: (name || title || id).slice(0, NAME),
    mimetype: mimetype?.slice(0, NAME) ?? null,
    size: size ?? null,
    ...(withheld && { withheld }),
    ...(clip && { clip }),
    ...(transcript && { transcript }),
  };
}

/** The files of a message, then those of the messages that it forwards; each once. */
export function filesOf({ files, attachments }: Readonly<Record<string, unknown>>): FileRef[] {
  const own = list.parse(files ?? []).flatMap((each) => readFile(each) ?? []);
  const forwarded = list.parse(attachments ?? []).flatMap((attachment) => {
    const known = quoting.safeParse(attachment);
    if (!known.success || !(known.data.is_share || known.data.is_msg_unfurl)) return [];
    return (known.data.files ?? []).flatMap((each) => {
      const read = readFile(each);
      return read ? [{ ...read, forwarded: true as const }] : [];
    });
  });
  const byId = new Map([...forwarded, ...own].map((each) => [each.id, each]));
  const inOrder = [...own, ...forwarded].map(({ id }) => id);
  return [...new Set(inOrder)].slice(0, FILES).flatMap((id) => byId.get(id) ?? []);
}
