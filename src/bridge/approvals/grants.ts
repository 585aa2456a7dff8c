import type { ApprovalRequest } from '../agent-event.ts';
import type { Grant, GrantKind } from '../thread-record.ts';
import { digestOf } from './decisions.ts';
import { isInside, looksSecret } from './inside.ts';
import { startsAgent } from './starts-agent.ts';

/** Tools that change a file whose path stands in their input. */
const EDITS: ReadonlySet<string> = new Set(['Write', 'Edit', 'MultiEdit']);
/** A turn that asks for more than that has lost its way: the oldest go. */
const GRANTS_KEPT = 50;

/** Which wider consent a request can be given, until the turn ends. */
export function grantFor(request: ApprovalRequest): GrantKind | null {
  if (request.questions || startsAgent(request.tool)) return null;
  if (EDITS.has(request.tool)) return 'edits';
  return request.tool === 'Bash' && typeof request.input.command === 'string' ? 'command' : null;
}

export function makeGrant(request: ApprovalRequest, kind: GrantKind, by: Grant['by'], at: number): Grant {
  return { kind, digest: kind === 'command' ? sameCommand(request) : null, by, at };
}

export function withGrant(grants: readonly Grant[], grant: Grant): Grant[] {
  const others = grants.filter(
    ({ kind, digest, by }) => !(kind === grant.kind && digest === grant.digest && by.id === grant.by.id),
  );
  return [...others, grant].slice(-GRANTS_KEPT);
}

/** Those of the grants that answer this request, in the order in which they were given. */
export function covering(grants: readonly Grant[], request: ApprovalRequest, workingDirectory: string | null): Grant[] {
  const possible = grantFor(request);
  return grants.filter(({ kind, digest }) => {
    if (kind !== possible) return false;
    return kind === 'command' ? digest === sameCommand(request) : isEditInside(request, workingDirectory);
  });
}

/** Of everything but the model's account of it. */
function sameCommand({ input }: ApprovalRequest): string {
  const { description: _, ...rest } = input;
  return digestOf(rest);
}

function isEditInside({ input }: ApprovalRequest, workingDirectory: string | null): boolean {
  const { file_path: path } = input;
  return (
    typeof path === 'string' && workingDirectory !== null && isInside(path, workingDirectory) && !looksSecret(path)
  );
}
