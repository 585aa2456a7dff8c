import { type Backoff, backoffMs } from '../../backoff.ts';
import type { WorkspaceId } from '../../bridge/ids.ts';
import type { Clock, Log, Random } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import { SlackError } from '../api/slack-api.ts';
import type { TokenSource } from '../api/token-source.ts';
import type { OAuthApi } from './oauth-api.ts';
import type { InstallationRecord, Tokens } from './record.ts';

/** An installation as it was read. */
export interface Held {
  /** The row, for the next write. */
  row: unknown;
  record: InstallationRecord;
  tokens: Tokens;
}

/** What the token of an installation needs of the store. */
export interface HeldInstallations {
  read(workspace: WorkspaceId): Promise<Held | null>;
  /** Writes, if the row is still what was read; `null`: it is another one now. */
  change(held: Held, change: Partial<InstallationRecord>, tokens?: Tokens): Promise<Held | null>;
}

export interface RotatingTokenParts {
  workspace: WorkspaceId;
  installations: HeldInstallations;
  oauth: Pick<OAuthApi, 'refresh'>;
  /** Whether this process serves the workspace: nobody else may refresh. */
  isOwner(): boolean;
  clock: Clock;
  random: Random;
  log: Log;
}

/** A bot token lives for 12 hours; in the last two it is refreshed beside the calls, which go on with it meanwhile. */
const REFRESH_BEFORE_MS = 2 * 60 * 60_000;
/** With less than this left, a call waits for the next token. */
const TOO_SHORT_MS = 30_000;
const RETRY: Backoff = { firstMs: 500, longestMs: 60_000, spread: [1, 1.5] };
const SAVE_RETRY: Backoff = { firstMs: 200, longestMs: 30_000, spread: [1, 1.5] };
const SUCCESS_WAIT_MS = 60_000;
/** How often others may overtake our write of a mark before we give up for this time. */
const TRIES = 5;

/** Slack's words for a refresh token that it does not take (docs/slack.md, OAuth and rotation). */
const NOT_TAKEN: ReadonlySet<string> = new Set([
  'account_inactive',
  'invalid_auth',
  'invalid_grant',
  'invalid_refresh_token',
  'token_expired',
  'token_revoked',
]);

/**
 * The bot token of one installation. It asks Slack for the next one in time, one request at a time, and only while this
 * process serves the workspace: a refresh token can be used once.
 *
 * A mark is stored before the request leaves. Where its answer is lost, the same refresh token is sent again at once
 * (Slack takes it for a short time), also by the next process, which finds the mark. A pair that cannot be stored is
 * used from memory, and storing it is tried until it succeeds.
 */
export class RotatingToken implements TokenSource {
  readonly #parts: RotatingTokenParts;
  #held: Held | null = null;
  /** By the monotonic clock. */
  #expiresAt: number | null = null;
  #refreshing: Promise<void> | null = null;
  /** A pair that Slack gave and the store does not have yet. */
  #unsaved: Promise<void> | null = null;
  #failures = 0;
  /** By the monotonic clock: no refresh before. */
  #notBefore = 0;

  constructor(parts: RotatingTokenParts) {
    this.#parts = parts;
  }

  async get(): Promise<string> {
    const held = this.#held ?? (await this.#load());
    const left = this.#msLeft();
    const isDue = left < REFRESH_BEFORE_MS || held.record.refreshingSince !== null;
    if (!isDue || held.record.isRefreshLost || (left >= TOO_SHORT_MS && !this.#mayRefresh())) {
      if (left > 0) return held.tokens.bot;
    } else if (left >= TOO_SHORT_MS) {
      // Failures are logged and tried again by one of the next calls.
      this.#refresh().catch(() => undefined);
      return held.tokens.bot;
    }
    await this.#refresh();
    return this.#token();
  }

  async replace(refused: string): Promise<string | null> {
    try {
      await this.refreshNow(refused);
    } catch {
      return null;
    }
    return this.#token();
  }

  /** The installation was stored anew in this process: the next call reads it. */
  noteInstalled(): void {
    if (this.#unsaved === null) this.#held = null;
  }

  /**
   * Makes sure that there is another token than `refused`.
   * @throws BridgeError `retry`: it may be had later; else there is none: the app is uninstalled, or must be installed
   * anew
   */
  async refreshNow(refused: string): Promise<void> {
    // What is in memory may be newer than the store, or older.
    if (this.#held !== null && this.#held.tokens.bot !== refused) return;
    const held = await this.#load();
    if (held.tokens.bot !== refused) return;
    if (held.tokens.refresh === null) throw this.#gone('its token is refused, and there is no other');
    await this.#refresh();
    if (this.#token() === refused) throw this.#later('Slack gave the same token again');
  }

  #token(): string {
    if (this.#held === null) throw this.#gone('the app is no longer installed');
    return this.#held.tokens.bot;
  }

  #msLeft(): number {
    return this.#expiresAt === null ? Number.POSITIVE_INFINITY : this.#expiresAt - this.#parts.clock.monotonic();
  }

  #mayRefresh(): boolean {
    return this.#parts.isOwner() && this.#parts.clock.monotonic() >= this.#notBefore;
  }

  async #load(): Promise<Held> {
    // The store does not have the newest pair yet.
    if (this.#unsaved !== null && this.#held !== null) return this.#held;
    const held = await this.#parts.installations.read(this.#parts.workspace);
    this.#keep(held);
    if (held === null) throw this.#gone('the app is no longer installed');
    return held;
  }

  #keep(held: Held | null): void {
    const isNew = held?.tokens.bot !== this.#held?.tokens.bot;
    this.#held = held;
    if (!isNew) return;
    const { clock } = this.#parts;
    const expiresAt = held?.tokens.expiresAt ?? null;
    this.#expiresAt = expiresAt === null ? null : clock.monotonic() + (expiresAt - clock.now());
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshOnce().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #refreshOnce(): Promise<void> {
    const { clock, oauth } = this.#parts;
    const before = this.#held?.tokens.bot;
    const marked = await this.#mark();
    // Somebody else has a newer pair, or a new installation needs none.
    if (marked === null || (before !== undefined && marked.tokens.bot !== before)) return;
    const { refresh } = marked.tokens;
    if (refresh === null) return;
    if (!this.#parts.isOwner()) throw this.#later('another process serves the workspace');
    try {
      const { bot, refresh: next, expiresInMs } = await oauth.refresh(refresh);
      const expiresAt = expiresInMs === null ? null : Math.round(clock.now() + expiresInMs);
      const tokens = { bot, refresh: next, expiresAt };
      this.#failures = 0;
      // A token that is refused although it is new is not helped by a newer one.
      this.#notBefore = clock.monotonic() + SUCCESS_WAIT_MS;
      await this.#save(marked, tokens);
    } catch (error) {
      throw error instanceof SlackError ? await this.#refused(marked, error) : error;
    }
  }

  /** Reads the row anew and marks that its refresh token is being used up. @returns `null`: nothing has to be done */
  async #mark(): Promise<Held | null> {
    const { installations, clock } = this.#parts;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const held = await this.#load();
      if (held.record.isRefreshLost) throw this.#gone('its refresh token is lost');
      if (!this.#mayRefresh()) throw this.#later('it is not the time to refresh');
      if (held.tokens.refresh === null) return null;
      if (held.record.refreshingSince !== null) return held;
      const marked = await installations.change(held, { refreshingSince: clock.now() });
      if (marked === null) continue;
      this.#keep(marked);
      return marked;
    }
    throw this.#later('its row is changed all the time');
  }

  /** Uses the new pair at once, and stores it; resolves when it is stored or is being stored again and again. */
  async #save(marked: Held, tokens: Tokens): Promise<void> {
    const record = { ...marked.record, refreshingSince: null };
    this.#keep({ row: marked.row, record, tokens });
    try {
      await this.#write(marked, tokens);
    } catch (error) {
      const { workspace, log } = this.#parts;
      log.error(
        { workspace, error: asBridgeError(error).message },
        'could not store the new token of a workspace; it is lost if the bridge ends before the store works again',
      );
      this.#unsaved = this.#writeUntilDone(marked, tokens).finally(() => {
        this.#unsaved = null;
      });
    }
  }

  async #write(marked: Held, tokens: Tokens): Promise<void> {
    const { installations, workspace, log } = this.#parts;
    const saved = await installations.change(marked, { refreshingSince: null, isRefreshLost: false }, tokens);
    if (saved !== null) {
      this.#keep(saved);
      log.info({ workspace }, 'refreshed the token of a workspace');
      return;
    }
    // Installed anew, uninstalled, or refreshed by a process that thought it was the owner: what is stored counts.
    this.#keep(await installations.read(workspace));
    log.info({ workspace }, 'the installation changed while its token was refreshed');
  }

  async #writeUntilDone(marked: Held, tokens: Tokens): Promise<void> {
    const { clock, random } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      await new Promise<void>((resolve) => {
        clock.after(backoffMs(SAVE_RETRY, failures, random.next()), resolve);
      });
      try {
        return await this.#write(marked, tokens);
      } catch (error) {
        this.#parts.log.debug({ error: asBridgeError(error).message, failures }, 'storing a token failed again');
      }
    }
  }

  async #refused(marked: Held, error: SlackError): Promise<BridgeError> {
    const { installations, workspace, clock, random, log } = this.#parts;
    const isTaken = !(error.failure === 'refused' && NOT_TAKEN.has(error.error));
    if (isTaken) {
      // The answer may be lost: the sooner the same refresh token is sent again, the better.
      this.#failures += 1;
      const waitMs = Math.max(error.retryAfterMs ?? 0, backoffMs(RETRY, this.#failures, random.next()));
      this.#notBefore = clock.monotonic() + waitMs;
      log.warn(
        { workspace, error: error.error, failures: this.#failures, waitMs: Math.round(waitMs) },
        'could not refresh the token of a workspace; trying again',
      );
      return this.#later(error.error, error);
    }
    // Somebody may have used it up and stored its successor.
    const lost = await installations.change(marked, { refreshingSince: null, isRefreshLost: true });
    if (lost === null) {
      this.#keep(await installations.read(workspace));
      return this.#later('the installation changed meanwhile');
    }
    this.#keep(lost);
    log.error(
      { workspace, error: error.error, msLeft: Math.max(0, Math.round(this.#msLeft())) },
      'Slack does not take the refresh token of a workspace: install the app there again (/slack/install)',
    );
    return this.#gone(error.error, error);
  }

  #later(why: string, cause?: unknown): BridgeError {
    const message = `the token of ${this.#parts.workspace} cannot be refreshed now: ${why}`;
    return new BridgeError('slack_failed', message, { retry: true, ...(cause !== undefined && { cause }) });
  }

  #gone(why: string, cause?: unknown): BridgeError {
    const message = `there is no token of ${this.#parts.workspace}: ${why}`;
    return new BridgeError('slack_failed', message, { ...(cause !== undefined && { cause }) });
  }
}
