import { type ActionOutcome, type InboundAction, refused } from '../inbound.ts';
import type { DetailsStore } from '../ports.ts';
import type { DetailsRef } from '../record/thread-record.ts';
import { NO_DETAILS_LEFT } from '../words/thread.ts';

/** What a click on Details opens, or on a button that turns the page. */
export async function detailsAnswer(
  { token, page = 0 }: Pick<InboundAction, 'token' | 'page'>,
  ref: DetailsRef | null,
  store: DetailsStore | undefined,
): Promise<ActionOutcome> {
  const details = ref && store ? await store.get(ref) : null;
  if (!details) return refused('expired', NO_DETAILS_LEFT);
  return { result: 'modal', modal: { kind: 'details', token, details, page } };
}
