import type { ApprovalRequest } from '../../agent-event.ts';
import type { Grant, GrantKind } from '../../record/thread-record.ts';
import { digestOf } from '../answers.ts';
import { isEditable } from './paths.ts';
import { startsAgent } from './starts-agent.ts';

/** Tools that change one file, whose path is in their input. */
const EDITS: ReadonlySet<string> = new Set(['Write', 'Edit', 'MultiEdit']);
/** How many consents a turn keeps; the oldest are dropped first. */
const GRANTS_KEPT = 50;

/** Which consent until the turn's end a card can offer besides Approve. */
export function grantFor(request: ApprovalRequest): GrantKind | null {
  if (request.questions || startsAgent(request.tool)) return null;
  if (EDITS.has(request.tool)) return 'edits';
  return request.tool === 'Bash' && typeof request.input.command === 'string' ? 'command' : null;
}

/** @param directory the working directory: a consent holds only there */
export function makeGrant(
  request: ApprovalRequest,
  { kind, by, at, directory }: Pick<Grant, 'kind' | 'by' | 'at'> & { directory: string | null },
): Grant {
  const digest = kind === 'command' ? digestOfCommand(request) : null;
  return { kind, digest, by, at, ...(directory !== null && { directory }) };
}

export function withGrant(grants: readonly Grant[], grant: Grant): Grant[] {
  const others = grants.filter(
    ({ kind, digest, by, directory }) =>
      !(kind === grant.kind && digest === grant.digest && by.id === grant.by.id && directory === grant.directory),
  );
  return [...others, grant].slice(-GRANTS_KEPT);
}

/**
 * The grants that cover this request, in the order in which they were given.
 * @param mayMove whether the working directory may be another one by the time the call runs: then commands are not
 * covered, and files only by their whole path.
 */
export function findCoveringGrants(
  grants: readonly Grant[],
  request: ApprovalRequest,
  workingDirectory: string | null,
  { mayMove = false }: { mayMove?: boolean } = {},
): Grant[] {
  const possible = grantFor(request);
  return grants.filter(({ kind, digest, directory }) => {
    if (kind !== possible || workingDirectory === null || directory !== workingDirectory) return false;
    if (kind === 'command') return !mayMove && digest === digestOfCommand(request);
    return isEditInside(request, workingDirectory) && (!mayMove || String(request.input.file_path).startsWith('/'));
  });
}

/** The digest of everything in the input except the model's description. */
function digestOfCommand({ input }: ApprovalRequest): string {
  const { description: _, ...rest } = input;
  return digestOf(rest);
}

function isEditInside({ input }: ApprovalRequest, workingDirectory: string): boolean {
  const { file_path: path } = input;
  return typeof path === 'string' && isEditable(path, workingDirectory);
}
