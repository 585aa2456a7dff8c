/** System folders: whoever starts an agent there has not put a project around it. */
const SYSTEM = ['/proc', '/sys', '/dev', '/etc', '/run', '/boot'];
/** Names that usually hold secrets, and what Letta itself takes its permissions from. */
const SECRET =
  /^(?:\.env(?:\..*)?|\.envrc|.*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|env)|id_(?:rsa|dsa|ecdsa|ed25519)|\.?(?:npmrc|netrc|pgpass|pypirc|git-credentials|htpasswd)|credentials(?:\..*)?|secrets?(?:\..*)?|\.ssh|\.aws|\.gnupg|\.kube|\.docker|\.azure|\.config|\.letta)$/i;
/** Unprintable characters, and what shells and Letta's own tools expand (`$NAME`, `~`). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const EXPANDS = /[\u0000-\u001f\u007f-\u009f$`~\\]/;

/**
 * Whether `path` names something inside of `folder`, judged by its letters alone: where a symbolic link leads can not be
 * known from here. A path with `..` is not, wherever it seems to lead: behind a link `..` is another folder.
 * @param folder absolute; of a folder that can not be a project (`/`, `/etc`) nothing is inside.
 */
export function isInside(path: string, folder: string): boolean {
  if (!isProject(folder) || path === '' || path.length > 4_096 || EXPANDS.test(path)) return false;
  const parts = path.split('/');
  if (parts.includes('..')) return false;
  if (!path.startsWith('/')) return true;
  const base = partsOf(folder);
  return base.every((part, at) => partsOf(path)[at] === part);
}

/** Whether a file or folder on the way is one that usually holds secrets (`.env`, `id_rsa`, `.ssh`). */
export function looksSecret(path: string): boolean {
  return path.split('/').some((part) => SECRET.test(part)) || /(?:^|\/)\.git\/(?:config|credentials)/i.test(path);
}

/** The part of an absolute path that `folder` does not say already. */
export function relativeTo(path: string, folder: string): string {
  return path.startsWith('/') ? partsOf(path).slice(partsOf(folder).length).join('/') : path;
}

/** Whether a folder can be one that somebody put around a project, so that what lies in it may be read. */
export function isProject(folder: string): boolean {
  const parts = partsOf(folder);
  if (!folder.startsWith('/') || parts.length === 0 || parts.includes('..') || EXPANDS.test(folder)) return false;
  return !SYSTEM.includes(`/${parts[0]}`);
}

const partsOf = (path: string) => path.split('/').filter((part) => part !== '' && part !== '.');
