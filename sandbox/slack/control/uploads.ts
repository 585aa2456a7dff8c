import { fileType } from '../files.ts';
import type { SlackFile } from '../model.ts';
import type { World } from '../world.ts';
import type { FileInput } from './api.ts';

/** Stores a file that a person uploads; it is shared by the message that carries it. */
export function uploadFile(world: World, user: string, input: FileInput): SlackFile {
  const { name, content, base64, mimetype, ...rest } = input;
  const file: SlackFile = {
    id: world.workspace.nextId('F'),
    name,
    title: name,
    ...fileType(name),
    ...(mimetype !== undefined && { mimetype }),
    content: base64 === undefined ? Buffer.from(content ?? '') : Buffer.from(base64, 'base64'),
    user,
    created: world.now(),
    shares: [],
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
  };
  world.workspace.files.set(file.id, file);
  return file;
}
