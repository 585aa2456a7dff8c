/** Bytes of a piece: a multiple of three, so that the pieces' base64 joined is the file's, in a frame of 4 MiB. */
export const PIECE_BYTES = 3 * 1024 * 1024;

/** The path of the `number`th piece of a file's base64, from 1. */
export function piecePath(path: string, number: number): string {
  return `${path}.b64.${number}`;
}

/**
 * The command that makes the file out of its pieces. It changes nothing else and may run again. Its paths need no quotes
 * ({@link deviceName}); `~` is the home of who runs it.
 */
export function decodeCommand(path: string, pieces: number): string {
  const from = Array.from({ length: pieces }, (_, at) => piecePath(path, at + 1));
  return `cat ${from.join(' ')} | base64 -d > ${path}`;
}
