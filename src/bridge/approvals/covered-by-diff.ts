import type { ApprovalRequest, FileDiff } from '../agent-event.ts';

export interface Covered {
  /** Fields of the input whose every character the diff shows. */
  fields: ReadonlySet<string>;
  /** What the diff of such a field does not show, in words; `null`: nothing. */
  note: string | null;
}

const NOTHING: Covered = { fields: new Set(), note: null };

/**
 * The fields that a card may leave out, because they were found in the diff letter by letter. The diff alone proves
 * nothing: Letta makes it from the current file and gives base names only (docs/letta-protocol.md, Approvals).
 */
export function coveredByDiff({ input, diffs }: ApprovalRequest): Covered {
  const [diff, ...others] = diffs;
  const { file_path: path, content, old_string: old, new_string: fresh } = input;
  if (diff?.kind !== 'hunks' || others.length > 0 || typeof path !== 'string' || diff.fileName !== baseName(path)) {
    return NOTHING;
  }
  const hunks = diff.hunks.map((hunk) => ({ ...hunk, old: side(hunk, 'remove'), new: side(hunk, 'add') }));
  if (hunks.some(({ lines }) => lines.some((line) => line.content.includes('\n')))) return NOTHING;
  if (typeof content === 'string' && content !== '') {
    const [hunk, ...more] = hunks;
    if (!hunk || more.length > 0) return NOTHING;
    if (content === `${hunk.new}\n`) return { fields: new Set(['content']), note: null };
    const note = 'content: as in the diff, without a line break at the end';
    return content === hunk.new ? { fields: new Set(['content']), note } : NOTHING;
  }
  if (typeof old === 'string' && typeof fresh === 'string' && old !== '') {
    const isShown = hunks.some((hunk) => `${hunk.old}\n`.includes(old) && `${hunk.new}\n`.includes(fresh));
    if (isShown) return { fields: new Set(['old_string', 'new_string']), note: null };
  }
  return NOTHING;
}

type Hunk = Extract<FileDiff, { kind: 'hunks' }>['hunks'][number];

/** The lines of a hunk before (`remove`) or after (`add`) the change. */
function side({ lines }: Hunk, type: 'add' | 'remove'): string {
  return lines
    .filter((line) => line.type === type || line.type === 'context')
    .map(({ content }) => content)
    .join('\n');
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
