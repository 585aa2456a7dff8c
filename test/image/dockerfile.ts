/** One instruction of a Dockerfile: its name, and all that stands behind it in one line. */
export interface Instruction {
  name: string;
  text: string;
}

export interface Stage {
  name: string;
  base: string;
  instructions: Instruction[];
}

/** The stages of a Dockerfile; the last one is the image. Knows no more of the format than ours uses. */
export function parseDockerfile(text: string): Stage[] {
  const lines = text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const stages: Stage[] = [];
  for (const line of lines) {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === '') throw new Error(`not understood: ${line}`);
    if (name === 'FROM') {
      const [base = '', , as = ''] = rest.split(/\s+/);
      stages.push({ name: as === '' ? 'image' : as, base, instructions: [] });
    } else stages.at(-1)?.instructions.push({ name, text: rest });
  }
  return stages;
}

/** The last instruction of that name; `null` when there is none. */
export function lastOf(stage: Stage | undefined, name: string): string | null {
  return stage?.instructions.findLast((each) => each.name === name)?.text ?? null;
}

/** The words of `["a", "b"]`: the form that starts no shell. */
export function execForm(text: string | null): string[] {
  return JSON.parse(text ?? '[]') as string[];
}

/** What `.dockerignore` lets into the build, where all but `!` lines are shut out. */
export function isInContext(ignore: string, path: string): boolean {
  const allowed = ignore.split('\n').flatMap((line) => (line.startsWith('!') ? [line.slice(1).trim()] : []));
  return allowed.some((each) => path === each || path.startsWith(`${each}/`));
}
