import { BoundedMap } from '../../bounded-map.ts';
import type { MessageKey } from '../ids.ts';
import type { FileRef } from '../inbound.ts';
import type { AgentConnection, Clock, Log, Random, SharedFolder, SlackFiles } from '../ports.ts';
import type { HandedFile, InboxItem } from '../record/thread-record.ts';
import { FILE_LIMITS, type FileNote, FileRefused } from '../turn/file-notes.ts';
import type { ImagePart } from '../turn/input-content.ts';
import { within } from '../within.ts';
import { decodeCommand, PIECE_BYTES, piecePath } from './base64-way.ts';
import { deviceName, imageType, isWholePicture, safeWord, textOf } from './kinds.ts';
import { Slots } from './slots.ts';

export interface HandOverParts {
  /** Left out: no file is fetched. */
  files?: SlackFiles | undefined;
  /** Left out: agents on this machine get files as others do. */
  folder?: SharedFolder | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  /** ms that files stay on the agent's machine. */
  keptMs: number;
}

/** The agent's machine, as far as files need it. */
export interface Machine {
  connection: Pick<AgentConnection, 'writeFile' | 'readFile'>;
  /** Names the machine while its links come and go. */
  id: string;
  /** Files of one conversation lie together. */
  conversation: string;
  /** Whether a picture that is not whole would do harm: it is put on the machine like any file. */
  takesWholePicturesOnly?: true;
}

/** What became of the files of a turn. */
export interface HandedOver {
  /** By message, in the order of its files. */
  notes: ReadonlyMap<MessageKey, readonly FileNote[]>;
  images: readonly ImagePart[];
  /** What lies on the agent's machine now. */
  handed: readonly HandedFile[];
}

export const nothingHandedOver: HandedOver = { notes: new Map(), images: [], handed: [] };

/** ms for all files of a turn, and for one of them: a turn never waits longer. */
const TURN_MS = 120_000;
const FILE_MS = 60_000;
/** Files in work at once, over all threads, which bounds memory. */
const AT_ONCE = 4;
/** Characters of base64 of all pictures of one input: with the text its frame stays below 8 MiB. */
const IMAGE_CHARACTERS = 7.25 * 1024 * 1024;
/** Bytes of a frame of the device (docs/letta-protocol.md, The device's files). */
const FRAME = 8 * 1024 * 1024 - 1_000;
/** Where files lie on the agent's machine if it is not this one. */
const INBOX = '~/.letta/slack-bridge/inbox';
/** For how long a found-out answer holds, in ms, and for how many machines. */
const PROBED_MS = 10 * 60_000;
const PROBED = 100;
/** Old files that are emptied before one turn, and the time for that. */
const CLEARED_AT_ONCE = 20;
const CLEAR_WITHIN_MS = 5_000;
const CLEAR_FOLDER_EVERY_MS = 60 * 60_000;

/** Fetches the files of a turn from Slack and gives them to the agent: pictures in the input, others on its machine. */
export class FileHandOver {
  readonly #parts: HandOverParts;
  readonly #slots = new Slots(AT_ONCE);
  #clearsFolderAt = 0;
  readonly #shared = new BoundedMap<string, { until: number; isShared: boolean }>(PROBED);

  constructor(parts: HandOverParts) {
    this.#parts = parts;
  }

  /**
   * Empties the files on the agent's machine that were kept long enough: the protocol cannot delete any. What was decoded
   * into bytes that are no text cannot be emptied either. Never rejects.
   * @returns the paths that are settled
   */
  async clear(handed: readonly HandedFile[], { connection }: Machine): Promise<string[]> {
    const { clock, log, keptMs } = this.#parts;
    const old = handed.filter(({ at }) => at < clock.now() - keptMs).slice(0, CLEARED_AT_ONCE);
    const empty = async ({ path, pieces = 0 }: HandedFile) => {
      const paths = pieces > 0 ? Array.from({ length: pieces }, (_, at) => piecePath(path, at + 1)) : [path];
      for (const each of paths) await connection.writeFile(each, '');
      return path;
    };
    const cleared: string[] = [];
    const work = (async () => {
      for (const file of old) cleared.push(file.isShared ? file.path : await empty(file));
    })().catch((error: unknown) => log.warn({ err: error }, 'could not clear old files on the agent’s machine'));
    await within(clock, CLEAR_WITHIN_MS, work);
    await this.#clearFolder();
    return [...cleared];
  }

  /** Deletes what was kept long enough in the shared folder, now and then. */
  async #clearFolder(): Promise<void> {
    const { clock, log, folder, keptMs } = this.#parts;
    if (!folder || clock.monotonic() < this.#clearsFolderAt) return;
    this.#clearsFolderAt = clock.monotonic() + CLEAR_FOLDER_EVERY_MS;
    try {
      await folder.clear(clock.now() - keptMs);
    } catch (error) {
      log.warn({ err: error }, 'could not delete old files that were handed to agents');
    }
  }

  /**
   * Resolves when every file is handed over or has its reason. Rejects only with the signal's reason, as the turn is over.
   * @param items the messages that the turn carries
   */
  async handOver(items: readonly InboxItem[], machine: Machine, signal: AbortSignal): Promise<HandedOver> {
    const notes = new Map<MessageKey, FileNote[]>();
    const work = new TurnFiles();
    const giveUpAt = this.#parts.clock.monotonic() + TURN_MS;
    const known = new Set<string>();
    for (const item of items) {
      const ofItem: FileNote[] = [];
      for (const file of item.files) {
        if (known.has(file.id)) continue;
        known.add(file.id);
        if (known.size > FILE_LIMITS.perTurn) ofItem.push({ file, how: 'missing', why: 'too_many' });
        else ofItem.push(await this.#handOverInTime(item, file, machine, work, giveUpAt, signal));
      }
      if (ofItem.length > 0) notes.set(item.key, ofItem);
    }
    return { notes, images: work.images, handed: work.handed };
  }

  async #handOverInTime(
    item: InboxItem,
    file: FileRef,
    machine: Machine,
    work: TurnFiles,
    giveUpAt: number,
    signal: AbortSignal,
  ): Promise<FileNote> {
    const { clock, log } = this.#parts;
    const late = new AbortController();
    const ms = Math.min(FILE_MS, giveUpAt - clock.monotonic());
    const refuse = () => late.abort(new FileRefused('slow'));
    if (ms <= 0) refuse();
    const timer = clock.after(Math.max(ms, 0), refuse);
    const either = AbortSignal.any([signal, late.signal]);
    let giveBack: (() => void) | null = null;
    try {
      const place = { ...machine, item, work };
      giveBack = await this.#slots.take(either);
      return await untilAborted(this.#handOverOne(file, place, either), either);
    } catch (error) {
      signal.throwIfAborted();
      const why = error instanceof FileRefused ? error.why : 'failed';
      log.warn({ file: file.id, why, err: error }, 'a file was not handed over');
      const known = error instanceof WithSize ? { ...file, size: error.size, name: error.fileName } : file;
      return { file: known, how: 'missing', why };
    } finally {
      timer.cancel();
      giveBack?.();
    }
  }

  async #handOverOne(ref: FileRef, place: Place, signal: AbortSignal): Promise<FileNote> {
    if (ref.withheld) throw new FileRefused(ref.withheld);
    if (ref.transcript !== undefined) return { file: ref, how: 'transcript', text: ref.transcript };
    const { files } = this.#parts;
    if (!files) throw new FileRefused('not_fetched');
    const { file: told, bytes } = await files.open(ref, signal);
    const file: FileRef = { ...told, ...(ref.forwarded && { forwarded: true }) };
    if (file.withheld) throw new FileRefused(file.withheld);
    if (file.transcript !== undefined) return { file, how: 'transcript', text: file.transcript };
    if (file.size !== null && file.size > FILE_LIMITS.bytes) throw new WithSize('too_large', file);
    const content = new Content(bytes);
    try {
      const head = await content.readHead(FILE_LIMITS.imageBytes);
      if (content.isWhole && head.length === 0) throw new FileRefused('empty');
      return await this.#place(file, head, content, place, signal);
    } finally {
      await content.close();
    }
  }

  async #place(
    file: FileRef,
    head: Uint8Array,
    content: Content,
    place: Place,
    signal: AbortSignal,
  ): Promise<FileNote> {
    const { work } = place;
    const type = content.isWhole ? imageType(head) : null;
    const isUsable = type !== null && (!place.takesWholePicturesOnly || isWholePicture(type, head));
    if (isUsable && work.hasRoomFor(head.length)) {
      const number = work.addImage(type, head);
      return { file, how: 'image', number, bytes: head.length };
    }
    const text = content.isWhole ? textOf(head) : null;
    const shown = text !== null && head.length <= FILE_LIMITS.shownBytes ? text : undefined;
    try {
      const stored = await this.#store(file, head, text, content, place, signal);
      return { file, how: 'file', ...stored, ...(shown !== undefined && { text: shown }) };
    } catch (error) {
      signal.throwIfAborted();
      // Its text is in the prompt, so the agent has it anyway.
      const isMachines = error instanceof FileRefused && error.why === 'device';
      if (shown === undefined || !isMachines) throw error;
      return { file, how: 'text', bytes: head.length, text: shown };
    }
  }

  /** Puts a file on the agent's machine, by the best way that is exact. */
  async #store(
    file: FileRef,
    head: Uint8Array,
    text: string | null,
    content: Content,
    { connection, id, conversation, item, work }: Place,
    signal: AbortSignal,
  ): Promise<{ path: string; bytes: number; decode?: string }> {
    const { clock, folder } = this.#parts;
    const name = deviceName(item.ts, file);
    const directory = safeWord(conversation);
    const at = clock.now();
    if (folder && (await this.#isShared(folder, connection, id))) {
      const path = await folder.write(directory, name, content.all(head)).catch((error: unknown) => {
        throw error instanceof FileRefused ? error : new FileRefused('device', error);
      });
      work.handed.push({ path, at, isShared: true });
      return { path, bytes: content.bytes };
    }
    const path = `${INBOX}/${directory}/${name}`;
    if (text !== null && frameSize(text) <= FRAME) {
      if (!(await connection.writeFile(path, text))) throw new FileRefused('device');
      work.handed.push({ path, at });
      return { path, bytes: head.length };
    }
    let pieces = 0;
    for await (const piece of content.inPieces(head, PIECE_BYTES)) {
      signal.throwIfAborted();
      const base64 = Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString('base64');
      if (!(await connection.writeFile(piecePath(path, pieces + 1), base64))) throw new FileRefused('device');
      pieces += 1;
    }
    const decode = decodeCommand(path, pieces);
    work.handed.push({ path, at, decode, pieces });
    return { path, bytes: content.bytes, decode };
  }

  /** Whether the agent's machine sees our folder: it reads words there that only we know. */
  async #isShared(folder: SharedFolder, connection: Machine['connection'], machine: string): Promise<boolean> {
    if (folder.isKnown) return true;
    const { clock, random, log } = this.#parts;
    const known = this.#shared.get(machine);
    if (known && known.until > clock.monotonic()) return known.isShared;
    const words = random.id();
    let isShared = false;
    try {
      isShared = await folder.probe(words, async (path) => (await connection.readFile(path)) === words);
    } catch (error) {
      log.info({ err: error }, 'could not find out whether the agent sees the same files');
    }
    this.#shared.set(machine, { until: clock.monotonic() + PROBED_MS, isShared });
    return isShared;
  }
}

interface Place extends Machine {
  item: InboxItem;
  work: TurnFiles;
}

/** What a turn has collected so far. */
class TurnFiles {
  readonly images: ImagePart[] = [];
  readonly handed: HandedFile[] = [];
  #characters = 0;

  /** Whether a picture of so many bytes still fits into the input. */
  hasRoomFor(bytes: number): boolean {
    return this.images.length < FILE_LIMITS.images && this.#characters + Math.ceil(bytes / 3) * 4 <= IMAGE_CHARACTERS;
  }

  /** @returns its number in the input, from 1 */
  addImage(mediaType: string, bytes: Uint8Array): number {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
    this.#characters += data.length;
    return this.images.push({ type: 'image', mediaType, data });
  }
}

/** Bytes as they come, counted, with their beginning looked at first. */
class Content {
  readonly #source: AsyncIterator<Uint8Array>;
  /** What was read beyond the head. */
  #rest: Uint8Array | null = null;
  isWhole = false;
  bytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The first `limit` bytes, or all of them: then the content {@link isWhole}. */
  async readHead(limit: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    while (length <= limit) {
      const piece = await this.#next();
      if (piece === null) {
        this.isWhole = true;
        return Buffer.concat(pieces);
      }
      pieces.push(piece);
      length += piece.length;
    }
    const all = Buffer.concat(pieces);
    this.#rest = all.subarray(limit);
    return all.subarray(0, limit);
  }

  /** Everything: the head, then what follows. */
  async *all(head: Uint8Array): AsyncGenerator<Uint8Array> {
    yield head;
    if (this.isWhole) return;
    if (this.#rest) yield this.#rest;
    for (let piece = await this.#next(); piece !== null; piece = await this.#next()) yield piece;
  }

  /** Everything, in pieces of `size` bytes; only the last one may be smaller. */
  async *inPieces(head: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
    let kept: Uint8Array[] = [];
    let length = 0;
    for await (const piece of this.all(head)) {
      kept.push(piece);
      length += piece.length;
      if (length < size) continue;
      const joined = Buffer.concat(kept);
      let at = 0;
      for (; at + size <= joined.length; at += size) yield joined.subarray(at, at + size);
      kept = [Buffer.from(joined.subarray(at))];
      length -= at;
    }
    if (length > 0) yield Buffer.concat(kept);
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #next(): Promise<Uint8Array | null> {
    const { done, value } = await this.#source.next();
    if (done) return null;
    this.bytes += value.length;
    if (this.bytes > FILE_LIMITS.bytes) throw new FileRefused('too_large');
    return value;
  }
}

/** A refusal that knows the file better than its message did. */
class WithSize extends FileRefused {
  readonly size: number | null;
  readonly fileName: string;

  constructor(why: 'too_large', { size, name }: FileRef) {
    super(why);
    this.size = size;
    this.fileName = name;
  }
}

/** Bytes of a text in a frame: JSON escapes some of its characters. */
function frameSize(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

/** Rejects with the signal's reason as soon as it aborts, even if the work hangs. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
