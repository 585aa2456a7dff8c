import { BoundedMap } from '../bounded-map.ts';
import { Refusal } from './refusal.ts';

/** An installation of the app as Slack sees it: a team's, or an organisation's. */
export interface Grant {
  /** `T…` or `E…`. */
  id: string;
  scopes: readonly string[];
  /** Who installed it. */
  by: string;
}

/** What the app gets. */
export interface Issued {
  access_token: string;
  /** Only where tokens are rotated. */
  refresh_token?: string;
  /** Seconds. */
  expires_in?: number;
}

export type TokenState = 'live' | 'expired' | 'revoked';

export interface TokensOptions {
  now: () => number;
  /** Whether the app's tokens are rotated; then they live for twelve hours. */
  isRotated?: boolean;
  lifetimeMs?: number;
  /** For how long a refresh token that was used is taken again. Slack says that it is short, not how short. */
  graceMs?: number;
}

const LIFETIME_MS = 12 * 60 * 60_000;
const GRACE_MS = 60_000;
/** More access tokens of an installation are revoked, the oldest first. */
const ACTIVE = 2;
const MAX_TOKENS = 20_000;

interface Access {
  grant: Grant;
  expiresAt: number;
  isRevoked: boolean;
}

interface Refresh {
  grant: Grant;
  usedAt: number | null;
  /** The refresh token that its use gave. */
  next: string | null;
}

/** The bot tokens of an app and what becomes of them (docs/slack.md, OAuth and rotation). */
export class Tokens {
  readonly #options: Required<TokensOptions>;
  readonly #access = new BoundedMap<string, Access>(MAX_TOKENS);
  readonly #refresh = new BoundedMap<string, Refresh>(MAX_TOKENS);
  /** Tokens without an end that were exchanged for a pair. */
  readonly #exchanged = new Set<string>();
  #counter = 0;

  constructor({ now, isRotated = false, lifetimeMs = LIFETIME_MS, graceMs = GRACE_MS }: TokensOptions) {
    this.#options = { now, isRotated, lifetimeMs, graceMs };
  }

  /** Installs the app, or again. Where tokens are not rotated, the installation keeps the token that it has. */
  install(grant: Grant): Issued {
    if (this.#options.isRotated) return this.#issuePair(grant);
    for (const [token, access] of this.#access) {
      if (access.grant.id !== grant.id || access.isRevoked) continue;
      access.grant = grant;
      return { access_token: token };
    }
    this.#counter += 1;
    const token = `xoxb-${grant.id}-${this.#counter}-sandbox`;
    this.add(token, grant);
    return { access_token: token };
  }

  /** A token that never expires. */
  add(token: string, grant: Grant): void {
    this.#access.set(token, { grant, expiresAt: Number.POSITIVE_INFINITY, isRevoked: false });
  }

  find(token: string): { grant: Grant; state: TokenState } | null {
    const access = this.#access.get(token);
    if (!access) return null;
    const { grant, isRevoked, expiresAt } = access;
    return { grant, state: isRevoked ? 'revoked' : this.#options.now() >= expiresAt ? 'expired' : 'live' };
  }

  /** @throws Refusal with Slack's word */
  refresh(token: string): Issued & { grant: Grant } {
    const entry = this.#refresh.get(token);
    const now = this.#options.now();
    if (!entry) throw new Refusal('invalid_refresh_token');
    if (entry.usedAt !== null && now - entry.usedAt > this.#options.graceMs) {
      throw new Refusal('invalid_refresh_token');
    }
    entry.usedAt ??= now;
    // Of two pairs that one refresh token gave, only the later one goes on.
    if (entry.next !== null) this.#refresh.delete(entry.next);
    const issued = this.#issuePair(entry.grant);
    entry.next = issued.refresh_token ?? null;
    return { ...issued, grant: entry.grant };
  }

  /** `oauth.v2.exchange`: a token without an end for a pair. @throws Refusal */
  exchange(token: string): Issued & { grant: Grant } {
    if (!this.#options.isRotated) throw new Refusal('token_rotation_not_enabled');
    if (this.#exchanged.has(token)) throw new Refusal('token_already_exchanged');
    const access = this.#access.get(token);
    if (!access || access.isRevoked || access.expiresAt !== Number.POSITIVE_INFINITY) {
      throw new Refusal('invalid_token');
    }
    access.isRevoked = true;
    this.#exchanged.add(token);
    return { ...this.#issuePair(access.grant), grant: access.grant };
  }

  /** `auth.revoke`: this token alone. */
  revoke(token: string): void {
    const access = this.#access.get(token);
    if (access) access.isRevoked = true;
  }

  /** All tokens of the installation. */
  uninstall(id: string): void {
    for (const access of this.#access.values()) if (access.grant.id === id) access.isRevoked = true;
    for (const [token, { grant }] of this.#refresh) if (grant.id === id) this.#refresh.delete(token);
  }

  /** Whether any token of the installation is accepted, or can be refreshed. */
  isInstalled(id: string): boolean {
    const isLive = [...this.#access].some(
      ([token, { grant }]) => grant.id === id && this.find(token)?.state === 'live',
    );
    return isLive || [...this.#refresh.values()].some(({ grant }) => grant.id === id);
  }

  #issuePair(grant: Grant): Issued {
    const { now, lifetimeMs } = this.#options;
    this.#counter += 1;
    const access_token = `xoxe.xoxb-${grant.id}-${this.#counter}-sandbox`;
    const refresh_token = `xoxe-1-${grant.id}-${this.#counter}-sandbox`;
    this.#access.set(access_token, { grant, expiresAt: now() + lifetimeMs, isRevoked: false });
    this.#refresh.set(refresh_token, { grant, usedAt: null, next: null });
    const live = [...this.#access.values()].filter((one) => one.grant.id === grant.id && !one.isRevoked);
    for (const old of live.slice(0, -ACTIVE)) old.isRevoked = true;
    return { access_token, refresh_token, expires_in: Math.round(lifetimeMs / 1000) };
  }
}
