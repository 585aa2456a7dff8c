import { isSecretFolder, looksSecret } from './secret-names.ts';
import { runsByItself } from './self-running.ts';

/** System folders: an agent that works there is not in a project. */
const SYSTEM = ['/proc', '/sys', '/dev', '/etc', '/run', '/boot'];
/** Folders that hold everybody's files, and the system folders of other systems. */
const NO_PROJECTS = [
  ...['/home', '/users', '/var', '/usr', '/lib', '/private', '/volumes', '/mnt', '/media', '/system', '/library'],
  ...['/var/run', '/var/lib', '/var/log', '/var/spool', '/private/etc', '/private/var', '/private/var/run'],
];
const NO_PROJECTS_BELOW = ['/var/run', '/private/etc', '/private/var/run', '/var/spool'];
const FILE_NAME =
  /^(?:README|LICEN[CS]E|CHANGELOG|COPYING|NOTICE|AUTHORS|CONTRIBUTORS|CODEOWNERS|VERSION|TODO|INSTALL|NEWS|SECURITY|Makefile|GNUmakefile|Dockerfile|Containerfile|Gemfile|Rakefile|Procfile|Vagrantfile|Brewfile|Justfile|justfile|makefile|Pipfile|\.gitignore|\.dockerignore|\.editorconfig)$/;
const FILE_ENDING =
  /^[\w@+(). -]*\w\.(?:[cm]?[jt]sx?|jsonc?|json5|ya?ml|toml|ini|cfg|conf|xml|csv|tsv|txt|md|mdx|rst|adoc|log|lock|py|pyi|rb|go|mod|sum|rs|java|kts?|scala|groovy|gradle|c|h|cc|cpp|cxx|hpp|cs|csproj|sln|fs|vb|swift|m|mm|dart|php|pl|pm|lua|r|jl|ex|exs|erl|clj|hs|elm|ml|mli|nim|zig|sol|sh|bash|zsh|fish|ps1|bat|vue|svelte|astro|html?|css|scss|sass|less|proto|graphql|gql|sql|snap|tex|bib|ipynb|tf|hcl|cmake|mk|patch|diff|example|sample|template|tpl|env)$/i;
/** Control characters, and what shells and Letta's own tools expand (`$NAME`, `~`). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const EXPANDS = /[\u0000-\u001f\u007f-\u009f$`~\\]/;

/**
 * Whether `path` names something inside of `folder`, judged by its letters alone, because the bridge cannot know where a
 * symbolic link leads. A path with `..` never counts as inside: after a link, `..` is another folder.
 * @param folder absolute; in a folder that cannot be a project (`/`, `/etc`) no path counts as inside.
 */
export function isInside(path: string, folder: string): boolean {
  if (!isProject(folder) || path === '' || path.length > 4_096 || EXPANDS.test(path)) return false;
  const parts = path.split('/');
  if (parts.includes('..')) return false;
  if (!path.startsWith('/')) return true;
  const base = partsOf(folder);
  return base.every((part, at) => partsOf(path)[at] === part);
}

/**
 * Whether a rule or a consent may cover a change of this file: it lies inside of `folder`, its name does not suggest
 * secrets, and it does not run by itself.
 */
export function isEditable(path: string, folder: string): boolean {
  if (!isInside(path, folder)) return false;
  const relative = relativeTo(path, folder);
  return partsOf(relative).length > 0 && !looksSecret(relative) && !runsByItself(relative);
}

/**
 * Whether a path names a file, not a folder, judged by its letters: by an ending that folders do not have, or a usual file
 * name.
 */
export function isNamedFile(path: string): boolean {
  const name = path.split('/').at(-1) ?? '';
  return FILE_NAME.test(name) || FILE_ENDING.test(name);
}

/** The path relative to `folder`. */
export function relativeTo(path: string, folder: string): string {
  return path.startsWith('/') ? partsOf(path).slice(partsOf(folder).length).join('/') : path;
}

/** Whether a folder can be a project's, so that the files in it may be read. */
export function isProject(folder: string): boolean {
  const parts = partsOf(folder);
  if (!folder.startsWith('/') || parts.length === 0 || parts.includes('..') || EXPANDS.test(folder)) return false;
  const whole = `/${parts.join('/')}`.toLowerCase();
  if (NO_PROJECTS.includes(whole) || NO_PROJECTS_BELOW.some((each) => whole.startsWith(`${each}/`))) return false;
  if (SYSTEM.includes(`/${parts[0]}`.toLowerCase())) return false;
  // Letta's own worktrees are projects although they lie in a folder `.letta`, which else counts as secret.
  return !whole
    .replace(/\/\.letta\/worktrees(?=\/)/g, '')
    .split('/')
    .some(isSecretFolder);
}

const partsOf = (path: string) => path.split('/').filter((part) => part !== '' && part !== '.');
