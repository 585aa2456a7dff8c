import type { Clock, Log, Random } from '../bridge/ports.ts';
import type { Config } from '../config/config.ts';
import type { FetchLike } from '../letta/hosted-api.ts';
import type { LaneDialer } from '../letta/link/lane.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { Terminal } from './terminal.ts';

/** The files that setup reads and writes. */
export interface Files {
  /** The present settings, from `.env` and the environment. */
  readEnv(): Readonly<Record<string, string | undefined>>;
  /** Writes settings into `.env` at once, so that a later run continues from there; `null` comments one out. */
  writeEnv(settings: Readonly<Record<string, string | null>>): void;
  hasPolicy(): boolean;
  /** What the bridge would read; `null` while something is missing or wrong, which doctor explains. */
  readConfig(): Config | null;
  writePolicy(text: string): void;
}

export interface SetupParts {
  terminal: Terminal;
  files: Files;
  manifest: Manifest;
  dial: LaneDialer;
  fetch: FetchLike;
  clock: Clock;
  random: Random;
  log: Log;
  /** Whether a person is there to answer an offer; without one, setup posts nothing. */
  isInteractive: boolean;
  /** Whether people in several workspaces are to install the app; also without it, where its client is set. */
  isForSeveral: boolean;
  /** A new ENCRYPTION_KEY: 32 random bytes in base64. */
  newKey(): string;
}
