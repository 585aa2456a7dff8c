import type { PermissionMode } from '../agent-event.ts';

const MODES: Readonly<Record<PermissionMode | 'guarded', string>> = {
  guarded: 'asks before everything but reads',
  strict: 'asks before everything',
  standard: 'asks before what Letta does not find harmless',
  acceptEdits: 'changes files without asking',
  unrestricted: 'never asks',
};

/** When the agent asks people. @param hasRules whether rules of the policy approve some requests, too */
export function permissionWords(permissions: keyof typeof MODES, hasRules: boolean): string {
  const rules = hasRules && permissions !== 'unrestricted' ? ', and approves what the policy’s rules name' : '';
  return `${MODES[permissions]}${rules} (${permissions})`;
}
