import { can, type Place } from '../../access/can.ts';
import { type Policy, settingsOf } from '../../access/policy.ts';
import type { ApprovalRequest } from '../../agent-event.ts';
import type { Grant, HandedFile } from '../../record/thread-record.ts';
import { findCoveringGrants } from './grants.ts';
import { judgeGuarded } from './guarded.ts';
import { takesHandedFile } from './handed-files.ts';
import { matchingRule } from './rules.ts';
import { startsAgent } from './starts-agent.ts';

/** Why a request is approved without asking. */
export type AutoApproval =
  /** It only reads inside the working directory. */
  | { by: 'guarded' }
  /** It takes a file that a person sent and the bridge handed over. */
  | { by: 'file' }
  /** It ends a background task that a person stopped. */
  | { by: 'stop' }
  /** It calls a tool of the bridge that asks nobody here. */
  | { by: 'tools' }
  /** A rule of this place's policy allows it. */
  | { by: 'rule'; rule: string }
  /** A person who may decide has allowed it until the turn ends. */
  | { by: 'grant'; grant: Grant };

export interface Circumstances {
  policy: Policy;
  place: Place;
  workingDirectory: string | null;
  /** Whether the working directory may be another one by the time the call runs. */
  mayMove: boolean;
  requester: string;
  grants: readonly Grant[];
  /** What the bridge handed over in this thread. */
  files?: readonly HandedFile[] | undefined;
}

/** Finds why a request is approved without asking; `null`: people decide, as they always do about questions. */
export function findAutoApproval(request: ApprovalRequest, circumstances: Circumstances): AutoApproval | null {
  if (request.questions || request.tool === 'AskUserQuestion') return null;
  // The started agent never asks for approval, so no rule, no preset and no earlier consent may start it.
  if (startsAgent(request.tool)) return null;
  const { policy, place, workingDirectory, mayMove, requester, grants, files = [] } = circumstances;
  const { permissions, autoApprove } = settingsOf(policy, place);
  if (takesHandedFile(request, files)) return { by: 'file' };
  if (permissions === 'guarded' && !judgeGuarded(request, workingDirectory, { mayMove }).asks) return { by: 'guarded' };
  const rule = matchingRule(autoApprove, request, workingDirectory, { mayMove });
  if (rule !== null) return { by: 'rule', rule };
  // The person who gave the consent may have lost the right to decide since.
  const grant = findCoveringGrants(grants, request, workingDirectory, { mayMove }).find(
    ({ by }) => can(policy, by, { do: 'decide', requester }, place).allowed,
  );
  return grant ? { by: 'grant', grant } : null;
}
