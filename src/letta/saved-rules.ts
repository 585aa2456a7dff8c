import * as z from 'zod';
import { readFile } from './protocol/outgoing.ts';
import type { Ask } from './requests.ts';

/** Where Letta Code keeps what may run without asking in a project, below its directory. */
const FILES = ['.letta/settings.json', '.letta/settings.local.json'];
const ANSWERS_WITHIN_MS = 2_000;
/** Characters of a file that are looked at. */
const MOST_CHARACTERS = 256 * 1024;
const MOST_RULES = 200;

const settings = z.looseObject({ permissions: z.looseObject({ allow: z.array(z.unknown()).nullish() }).nullish() });

/**
 * Reads the rules that let tools run without asking in a directory: no frame tells of them (docs/letta-protocol.md, Other
 * clients of a conversation). A file that is not there, or says something else, has none.
 * @param directory an absolute path of the agent's machine
 */
export async function readSavedRules(ask: Ask, directory: string): Promise<string[]> {
  const separator = /^[A-Za-z]:\\/.test(directory) ? '\\' : '/';
  const rules: string[] = [];
  for (const file of FILES) {
    const path = `${directory.replace(/[\\/]+$/, '')}${separator}${file.replaceAll('/', separator)}`;
    const answer = await ask('read_file_response', (id) => readFile(id, path), ANSWERS_WITHIN_MS);
    if (answer?.success === true) rules.push(...parseRules(answer.content ?? ''));
  }
  return [...new Set(rules)].slice(0, MOST_RULES);
}

function parseRules(content: string): string[] {
  if (content.length > MOST_CHARACTERS) return [];
  try {
    const allow = settings.safeParse(JSON.parse(content)).data?.permissions?.allow ?? [];
    return allow.filter((rule) => typeof rule === 'string');
  } catch {
    return [];
  }
}
