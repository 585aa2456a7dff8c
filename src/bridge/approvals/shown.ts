import type { ApprovalRequest, FileDiff } from '../agent-event.ts';
import { redact, redactCommand, redactInput } from '../redact.ts';

/** What people are shown of a request: every word of it, except for secrets. Foreign text, not neutralised. */
export interface ShownRequest {
  /** What will run or be touched, whole: the command, the path. Empty where the tool has neither. */
  subject: string;
  /** Every other field of the input, but for what the diff shows; empty when there is none. */
  rest: string;
  diff: { files: string[]; added: number; removed: number; lines: string } | null;
  /** Why a diff that should be there is not, one line a file. */
  noDiff: string[];
  /** The model's own account of the call. */
  description: string | null;
  /** Whether something above is not shown because it looks like a secret. */
  redacted: boolean;
  /** Whether a card can not hold all of it: then only the full view can be approved. */
  clipped: boolean;
}

/** As wide as a card's text may get: far below what a message may hold (PLATFORM.md 2.1), with the rest of the card. */
const CARD_TEXT = 6_000;
/** Fields that a diff shows better. */
const IN_DIFF: ReadonlySet<string> = new Set(['content', 'new_string', 'old_string', 'edits', 'patch', 'input']);
const SUBJECTS = ['command', 'cmd', 'file_path', 'path', 'notebook_path', 'url'];

const known = new WeakMap<ApprovalRequest, ShownRequest>();

/** What people are shown of a request. The same request gives the same object: inputs may be big. */
export function shownRequest(request: ApprovalRequest): ShownRequest {
  const before = known.get(request);
  if (before) return before;
  const shown = show(request);
  known.set(request, shown);
  return shown;
}

function show({ input, diffs }: ApprovalRequest): ShownRequest {
  const name = SUBJECTS.find((field) => typeof input[field] === 'string' && input[field] !== '');
  const subject = redactCommand(name === undefined ? '' : String(input[name]));
  const inDiff = diffs.some((file) => file.kind === 'hunks' && file.hunks.some((hunk) => hunk.lines.length > 0));
  const others = Object.entries(input).filter(
    ([field, value]) =>
      field !== name && !(inDiff && IN_DIFF.has(field)) && !(field === 'description' && typeof value === 'string'),
  );
  const rest = redactInput(Object.fromEntries(others));
  const description = redact(typeof input.description === 'string' ? input.description : '');
  const changes = diffOf(diffs);
  const lines = redact(changes?.lines ?? '');
  const words = pretty(rest.input);
  const width = visibleLength(subject.text) + visibleLength(words) + visibleLength(lines.text);
  return {
    subject: subject.text,
    rest: words,
    diff: changes && { ...changes, lines: lines.text },
    noDiff: diffs.flatMap((file) => (file.kind === 'unavailable' ? [`${file.fileName}: ${file.reason}`] : [])),
    description: description.text.trim() === '' ? null : description.text,
    redacted: subject.redacted || rest.redacted || description.redacted || lines.redacted,
    clipped: width > CARD_TEXT,
  };
}

/** All of it as one text, in the order of the card: what the full view shows. */
export function fullText(request: ApprovalRequest): string {
  const { subject, rest, diff, noDiff, description } = shownRequest(request);
  const changes = diff && `${countsOf(diff)}\n${diff.lines}`;
  const account = description === null ? '' : `In the model’s own words: ${description}`;
  const all = [subject, rest, changes ?? '', ...noDiff.map((line) => `No diff of ${line}`), account];
  return all.filter((part) => part !== '').join('\n\n') || '(no input)';
}

/** `+12 −3 · a.ts, b.ts` */
export function countsOf({ added, removed, files }: NonNullable<ShownRequest['diff']>): string {
  return `+${added} −${removed} · ${files.join(', ')}`;
}

/**
 * Fields under their names, texts as they are. Lines of a text carry a mark, so that no text can pass itself off as
 * another field.
 */
function pretty(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .map(([field, value]) => {
      const name = /^[\w.-]{1,80}$/.test(field) ? field : JSON.stringify(field);
      if (typeof value !== 'string') return `${name}: ${JSON.stringify(value, null, 2)}`;
      if (!/[\n\r\u2028\u2029]/.test(value)) return `${name}: ${value}`;
      const lines = value.split(/\r\n|[\n\r\u2028\u2029]/).map((line) => `  │ ${line}`);
      return `${name}:\n${lines.join('\n')}`;
    })
    .join('\n');
}

const SIGN = { add: '+', remove: '-', context: ' ' } as const;

function diffOf(diffs: readonly FileDiff[]): ShownRequest['diff'] {
  const lines: string[] = [];
  const files: string[] = [];
  let [added, removed] = [0, 0];
  for (const file of diffs) {
    if (file.kind !== 'hunks') continue;
    files.push(file.fileName);
    for (const hunk of file.hunks) {
      lines.push(`@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@ ${file.fileName}`);
      for (const line of hunk.lines) {
        if (line.type === 'add') added += 1;
        else if (line.type === 'remove') removed += 1;
        lines.push(SIGN[line.type] + line.content);
      }
    }
  }
  return files.length === 0 ? null : { files, added, removed, lines: lines.join('\n') };
}

/** Characters that are shown by their numbers, at most ten letters each. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\u{E0000}-\u{E0FFF}]/gu;
const AS_NUMBER = 10;

/** How long a text is at most once everything invisible in it is made visible. */
function visibleLength(text: string): number {
  if (text.length > CARD_TEXT) return text.length;
  const invisible = text.replace(/[\n\t]/g, '').match(INVISIBLE)?.length ?? 0;
  return text.length + invisible * AS_NUMBER;
}
