import { z } from 'zod';
import type { TeamId, UserId, WorkspaceId } from '../../bridge/ids.ts';
import { BridgeError } from '../../errors.ts';

/** Raise it when an older bridge would misread the rows of this one, and keep reading the older versions. */
const VERSION = 1;

/** The tokens of an installation. */
export interface Tokens {
  /** `xoxb-…`, or `xoxe.xoxb-…` when tokens are rotated. */
  bot: string;
  /** `xoxe-1-…`, used once for the next pair; `null`: the bot token does not expire. */
  refresh: string | null;
  /** ms since 1970 when the bot token expires; `null`: never. */
  expiresAt: number | null;
}

/** What is stored of an installation, without its tokens, which are sealed. */
export interface InstallationRecord {
  workspace: WorkspaceId;
  teamId: TeamId | null;
  teamName: string | null;
  enterpriseId: string | null;
  enterpriseName: string | null;
  isEnterpriseInstall: boolean;
  appId: string | null;
  botId: string;
  botUserId: UserId;
  scopes: readonly string[];
  /** Who installed the app last, and when (ms since 1970). */
  installedBy: UserId;
  installedAt: number;
  /**
   * When somebody began to use up the refresh token (ms since 1970), as long as nobody knows with what outcome. Slack
   * takes it again for a short time, so the next process tries at once.
   */
  refreshingSince: number | null;
  /** Slack no longer takes the refresh token: when the bot token expires, only a new installation helps. */
  isRefreshLost: boolean;
  /** The {@link Tokens}, sealed for the workspace. */
  sealed: string;
}

const text = z.string();
const time = z.number().int().nonnegative();
const record = z.object({
  workspace: text.regex(/^[TE][A-Z0-9]+$/),
  teamId: text.nullable(),
  teamName: text.nullable(),
  enterpriseId: text.nullable(),
  enterpriseName: text.nullable(),
  isEnterpriseInstall: z.boolean(),
  appId: text.nullable(),
  botId: text,
  botUserId: text,
  scopes: z.array(text),
  installedBy: text,
  installedAt: time,
  refreshingSince: time.nullable(),
  isRefreshLost: z.boolean(),
  sealed: text,
}) satisfies z.ZodType<InstallationRecord>;

const tokens = z.strictObject({
  bot: text.min(1),
  refresh: text.min(1).nullable(),
  expiresAt: time.nullable(),
}) satisfies z.ZodType<Tokens>;

export function rowOf(value: InstallationRecord): unknown {
  return { version: VERSION, ...value };
}

/** @throws BridgeError record_newer, store_failed */
export function readRow(workspace: WorkspaceId, row: unknown): InstallationRecord {
  const version = z.object({ version: z.number() }).safeParse(row).data?.version;
  if (version !== undefined && version > VERSION) {
    throw new BridgeError('record_newer', `installations/${workspace} was written by a newer version of the bridge`);
  }
  const parsed = record.safeParse(row);
  if (parsed.success && parsed.data.workspace === workspace) return parsed.data;
  throw new BridgeError('store_failed', `installations/${workspace} is not an installation of this workspace`);
}

/** @throws BridgeError seal_broken when the text does not hold tokens. */
export function readTokens(workspace: WorkspaceId, sealedText: string): Tokens {
  try {
    return tokens.parse(JSON.parse(sealedText));
  } catch {
    // Without the cause, which would quote a token.
    throw new BridgeError('seal_broken', `what was sealed for ${workspace} cannot be read as tokens`);
  }
}
