import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  type: string;
  body: Buffer;
  /** Its name contains a hash of its content, so it never changes. */
  hasHashedName: boolean;
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The built page in the package, beside this file; a clone has none. */
const PACKAGED = fileURLToPath(new URL('static/', import.meta.url));
const SOURCES = fileURLToPath(new URL('../page/', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/sandbox-page/', import.meta.url));
const KEEP_MS = 24 * 3_600_000;
/** Sources of the page outside its folder. */
const SHARED = ['../slack/text', '../slack/model.ts', './wire.ts'];

/** The page's files by URL path. In a clone they are built once for each state of their sources, in a second or two. */
export async function readPageFiles(): Promise<Map<string, PageFile>> {
  return readFiles(existsSync(PACKAGED) ? PACKAGED : await buildOnce());
}

async function buildOnce(): Promise<string> {
  const folder = join(CACHE, stateOfSources());
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  removeOldBuilds();
  // Another process may be building the same page: the first rename wins, and nobody reads half a folder.
  const making = mkdtempSync(join(CACHE, 'making-'));
  const { buildPage } = await import('./build.ts');
  await buildPage(making);
  try {
    renameSync(making, folder);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** Removes builds older than a day, also unfinished ones; newer ones may be in use by another process. */
function removeOldBuilds(): void {
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > KEEP_MS) rmSync(path, { recursive: true, force: true });
  }
}

function stateOfSources(): string {
  const hash = createHash('sha256');
  const here = fileURLToPath(new URL('.', import.meta.url));
  const files = [
    ...globSync('**/*.{ts,tsx,css,html,svg}', { cwd: SOURCES }).map((name) => join(SOURCES, name)),
    ...SHARED.flatMap((name) => {
      const path = join(here, name);
      return extname(path) === '' ? globSync('*.ts', { cwd: path }).map((file) => join(path, file)) : [path];
    }),
  ];
  for (const file of files.sort()) hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 16);
}

function readFiles(folder: string): Map<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const name of globSync('**/*.*', { cwd: folder })) {
    const type = TYPES[extname(name)] ?? 'application/octet-stream';
    const path = `/${name.replaceAll('\\', '/')}`;
    files.set(path, { type, body: readFileSync(join(folder, name)), hasHashedName: path.startsWith('/assets/') });
  }
  return files;
}
