import { type Doing, UNCONFIRMED, type Verdict } from '../../access/can.ts';
import type { Author, Door } from '../../access/door.ts';
import type { AuditEntry, RefusedClick } from '../../approvals/audit-entry.ts';
import type { UserId } from '../../ids.ts';
import type { Audit, Log } from '../../ports.ts';
import { authorOf } from '../../record/inbox.ts';
import type { OpenTurn, ThreadRecord } from '../../record/thread-record.ts';
import type { Schedule } from '../../schedules/schedule.ts';
import type { RightsEffect } from '../core/effects.ts';
import type { Thread } from '../core/thread.ts';
import type { Jobs, Performs } from './jobs.ts';

export interface RightsParts {
  door: Pick<Door, 'judgeAgain'>;
  audit: Audit;
  /** Notes who tried to decide what they may not. */
  refused: { note(click: RefusedClick, record: ThreadRecord): unknown };
  log: Log;
  thread(): Thread;
}

/** Asks who still may what in the thread, and writes to the audit what was decided. */
export class Rights {
  readonly #parts: RightsParts;
  readonly #jobs: Jobs;

  constructor(parts: RightsParts, jobs: Jobs) {
    this.#parts = parts;
    this.#jobs = jobs;
  }

  readonly performs: Performs<RightsEffect> = {
    judge: ({ turn, link, request, by, author, requester, giver }) => {
      const mayPass = async () => {
        const asked = [this.#judge(author, { do: 'speak' })];
        if (giver !== null) asked.push(this.#judge({ user: giver }, { do: 'decide', requester }));
        return (await Promise.all(asked)).every(({ verdict }) => verdict.allowed);
      };
      const told = (may: boolean | null) => ({ type: 'judged', turn, link, request, by, may }) as const;
      this.#jobs.ask('could not judge whether a request may pass', mayPass, told, { request: request.requestId });
    },
    rejudge: ({ turn, link, token, send, by: user, requester, requestId: request }) =>
      this.#jobs.ask(
        'could not check whether a decision still counts',
        () => this.#judge({ user }, { do: 'decide', requester }),
        (answer) => ({ type: 'rejudged', turn, link, token, send, person: answer?.person ?? null }),
        { request },
      ),
    write_pass: ({ turn, link, request, entry }) =>
      this.#jobs.ask(
        'could not let a request pass',
        () => this.write(entry),
        (ok) => ({ type: 'pass_written', turn, link, request, ok: ok ?? false }),
        { request: request.requestId },
      ),
    audit: ({ entry, token }) =>
      this.#jobs.ask(
        'could not write an approval to the audit',
        () => this.write(entry),
        (ok) => ({ type: 'audited', entry, token, ok: ok ?? false }),
        { level: 'error', request: entry.requestId },
      ),
    note_refused: ({ click, record }) => this.#parts.refused.note(click, record),
  };

  #judge(who: Author, doing: Doing) {
    return this.#parts.door.judgeAgain(this.#parts.thread().key, who, doing);
  }

  /** Whether a turn's author may still use the agent. Never rejects. */
  async mayBegin(turn: OpenTurn): Promise<Verdict | 'unknown'> {
    // Whoever may stop need not be allowed to speak; their right to stop was judged at the click.
    if (turn.ends) return { allowed: true };
    try {
      const { verdict } = await this.#judge(authorOf(turn), { do: 'speak' });
      return !verdict.allowed && verdict.reason === UNCONFIRMED ? 'unknown' : verdict;
    } catch (error) {
      this.#parts.log.warn({ turn: turn.id, err: error }, 'could not check whether a turn may begin');
      return 'unknown';
    }
  }

  /** Whether this person may use the agent here now. Never rejects. */
  maySpeak(user: UserId): Promise<Verdict | 'unknown'> {
    return this.#mayStill(user, { do: 'speak' });
  }

  /** Whether this person may run commands of the device here now. Never rejects. */
  mayRunCommands(user: UserId): Promise<Verdict | 'unknown'> {
    return this.#mayStill(user, { do: 'device_commands' });
  }

  async #mayStill(user: UserId, doing: Doing): Promise<Verdict | 'unknown'> {
    try {
      const { verdict } = await this.#judge({ user }, doing);
      return !verdict.allowed && verdict.reason === UNCONFIRMED ? 'unknown' : verdict;
    } catch (error) {
      this.#parts.log.warn({ user, err: error }, 'could not check whether a person still may use the agent');
      return 'unknown';
    }
  }

  /** Whether the owners may use the agent here; `null`: Slack does not tell. Never rejects. */
  async ownersOf(schedules: readonly Schedule[]): Promise<Record<UserId, boolean | null>> {
    const judge = async (user: UserId): Promise<[UserId, boolean | null]> => {
      try {
        const { verdict } = await this.#judge({ user }, { do: 'speak' });
        return [user, verdict.allowed || (verdict.reason === UNCONFIRMED ? null : false)];
      } catch (error) {
        const message = 'could not check whether the owner of a schedule still may use the agent';
        this.#parts.log.warn({ user, err: error }, message);
        return [user, null];
      }
    };
    return Object.fromEntries(await Promise.all([...new Set(schedules.map(({ owner }) => owner))].map(judge)));
  }

  async write(entry: AuditEntry): Promise<true> {
    await this.#parts.audit.append(entry);
    this.#parts.log.info(fieldsOf(entry), 'approval settled');
    return true;
  }
}

/** An entry's fields for the log, without anything that a person or the agent wrote. */
function fieldsOf({ title: _, id: __, thread: ___, input: ____, ...fields }: AuditEntry): object {
  return fields;
}
