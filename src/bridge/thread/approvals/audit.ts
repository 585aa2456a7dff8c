import { type AuditEntry, entryOf } from '../../approvals/audit-entry.ts';
import type { ThreadKey, Token } from '../../ids.ts';
import type { Audit, Log } from '../../ports.ts';
import type { ApprovalRecord } from '../../record/thread-record.ts';
import type { Mailbox } from '../mailbox.ts';
import type { ThreadState } from '../state.ts';

export interface AuditParts {
  state: ThreadState;
  mailbox: Mailbox;
  audit: Audit;
  log: Log;
  /** An entry was written, so the thread may have nothing left to do. */
  advance(): void;
}

const AGAIN_MS = 5_000;

/** Writes what became of a thread's requests to the audit. The record marks an entry as due until it is written. */
export class ThreadAudit {
  readonly #parts: AuditParts;
  readonly #underWay = new Set<Token>();

  constructor(parts: AuditParts) {
    this.#parts = parts;
  }

  /** Writes every request that is over and whose entry is due. */
  settle(): void {
    for (const record of this.#parts.state.record?.approvals ?? []) {
      if (record.audit === 'due' && !this.#underWay.has(record.token)) this.#write(record);
    }
  }

  /** Writes one entry; rejects when the disk fails, so that a request without a card is not let pass unrecorded. */
  async write(entry: AuditEntry): Promise<void> {
    const { audit, log } = this.#parts;
    await audit.append(entry);
    log.info(fieldsOf(entry), 'approval settled');
  }

  #write(record: ApprovalRecord): void {
    const { state, mailbox, log, advance } = this.#parts;
    const { token } = record;
    const entry = entryOf(state.key, record);
    if (!entry) return;
    this.#underWay.add(token);
    mailbox.away(
      () => this.write(entry),
      () => {
        state.change((now) => ({
          ...now,
          // If the request was reopened or decided otherwise meanwhile, that needs another entry.
          approvals: now.approvals.map((each) =>
            each.token === token && isThat(state.key, each, entry)
              ? { ...each, audit: 'done', input: undefined }
              : each,
          ),
        }));
        this.#underWay.delete(token);
        return advance();
      },
      (error) => {
        this.#underWay.delete(token);
        log.error({ request: record.requestId, err: error }, 'could not write an approval to the audit');
        mailbox.later(AGAIN_MS, () => this.settle());
      },
    );
  }
}

function isThat(thread: ThreadKey, record: ApprovalRecord, entry: AuditEntry): boolean {
  const now = entryOf(thread, record);
  return now?.at === entry.at && now.outcome === entry.outcome;
}

/** An entry's fields for the log, without anything that a person or the agent wrote. */
function fieldsOf({ title: _, id: __, thread: ___, input: ____, ...fields }: AuditEntry): object {
  return fields;
}
