import type { UserId } from '../ids.ts';

/** Whom texts of tools may ping: the turn's requester, everybody who takes part in the thread, or these people. */
export type MayMention = 'requester' | 'thread' | readonly UserId[];
