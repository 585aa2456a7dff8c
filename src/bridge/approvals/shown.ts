import type { ApprovalRequest, FileDiff } from '../agent-event.ts';
import { INVISIBLE, INVISIBLE_SHOWN } from '../text/invisible.ts';
import { sizeOf } from '../text/json.ts';
import { printFields } from '../text/print-input.ts';
import { hideSecrets } from '../text/secrets/hide.ts';
import { changedFiles, changeLines, noteOutside } from './changed-files.ts';
import { coveredByDiff } from './covered-by-diff.ts';

/** What people are shown of a request: every word of it, except for secrets. Foreign text, not neutralised. */
export interface ShownRequest {
  /** What will run or be touched, whole: the command, the path. Empty where the tool has neither, or more than one. */
  subject: string;
  /** Of a patch: what happens to which file, one line each, with whole paths. */
  files: string[];
  /** What people should know of it that no field says. */
  notes: string[];
  /** Every other field of the input, but for what the diff shows letter by letter; empty when there is none. */
  rest: string;
  diff: { files: string[]; added: number; removed: number; lines: string } | null;
  /** Why a diff that should be there is not, one line a file. */
  noDiff: string[];
  /** The model's own account of the call, where it is short; else it is a field like others. */
  description: string | null;
  /** Whether something above is not shown because it looks like a secret. */
  isRedacted: boolean;
  /** Whether some of that is shown to the one who decides: it may be no secret. */
  isWithheld: boolean;
  /** Whether a card cannot hold all of it. */
  isClipped: boolean;
  /** Why nobody can be shown it: it must be denied then. `null`: they can. */
  refusal: string | null;
  /**
   * Whether the card shows less than the one who decides must see, by either: then only the full view can be approved.
   */
  isPartlyShown: boolean;
}

/** Everybody who reads the thread, or the one who decides alone, in a window of theirs. */
export type Eyes = 'all' | 'own';

/**
 * As wide as a card's text may get: far below what a message may hold (docs/slack.md, Size limits), with the rest of
 * the card.
 */
const CARD_TEXT = 6_000;
/** What a card shows of the model's account of a call, whole. */
const ACCOUNT = 300;
/** What the place of a file adds to its path on a card, at most, but for a very long working directory. */
const PLACE = 200;
/** What a card shows of a tool's name, whole. */
const TOOL_NAME = 80;
const SUBJECTS = ['command', 'cmd', 'file_path', 'path', 'notebook_path', 'url'];

const known = new WeakMap<ApprovalRequest, Map<string, ShownRequest>>();

/**
 * What people are shown of a request. The same request gives the same object: inputs may be big.
 * @param folder the working directory; `null`: not known
 */
export function shownRequest(request: ApprovalRequest, folder: string | null = null, eyes: Eyes = 'all'): ShownRequest {
  const key = `${eyes} ${folder ?? ''}`;
  const before = known.get(request) ?? new Map<string, ShownRequest>();
  const shown = before.get(key) ?? show(request, folder, new Cleaner(eyes));
  known.set(request, before.set(key, shown));
  return shown;
}

/** Takes secrets out of one text after the other, and remembers whether there were some. */
class Cleaner {
  readonly #eyes: Eyes;
  isRedacted = false;
  isWithheld = false;

  constructor(eyes: Eyes) {
    this.#eyes = eyes;
  }

  clean = (text: string, name = ''): string => {
    const { open, own } = hideSecrets(text, name);
    const shown = this.#eyes === 'own' ? own : open;
    this.isRedacted ||= shown !== text;
    this.isWithheld ||= own !== open;
    return shown;
  };
}

/** Letters that people can be asked to read in one request: to look through more would hold up everybody else. */
const LETTERS = 200_000;
/** With the diffs, which show most of an input a second time. */
const WITH_DIFFS = 2 * LETTERS;
/** Levels of an input that anybody can make out. */
const LEVELS = 10_000;

function refusalOf({ input, diffs }: ApprovalRequest): string | null {
  const { depth, letters } = sizeOf([input, diffs], { depth: LEVELS, letters: WITH_DIFFS });
  if (depth > LEVELS) return `nested more than ${LEVELS.toLocaleString('en-US')} levels deep`;
  if (sizeOf(input, { depth: LEVELS, letters: LETTERS }).letters > LETTERS) return longerThan(LETTERS);
  return letters > WITH_DIFFS ? `${longerThan(WITH_DIFFS)} with its diff` : null;
}

const longerThan = (letters: number) => `longer than ${letters.toLocaleString('en-US')} characters`;

function show(request: ApprovalRequest, folder: string | null, cleaner: Cleaner): ShownRequest {
  const refusal = refusalOf(request);
  if (refusal === null) return showAll(request, folder, cleaner);
  const nothing = { subject: '', files: [], notes: [], diff: null, noDiff: [], description: null };
  const rest = `(not shown: ${refusal})`;
  return { ...nothing, rest, isRedacted: false, isWithheld: false, isClipped: true, refusal, isPartlyShown: true };
}

function showAll(request: ApprovalRequest, folder: string | null, cleaner: Cleaner): ShownRequest {
  const { input, diffs, tool } = request;
  const { clean } = cleaner;
  const taken = new Set<string>();
  const name = subjectOf(input);
  if (name !== null) taken.add(name);
  const account = accountOf(input);
  if (account !== null) taken.add('description');
  const covered = coveredByDiff(request);
  for (const field of covered.fields) taken.add(field);
  const patched = changedFiles(request);
  // The diffs that Letta makes of a patch leave out what is deleted: the patch itself is shown.
  const changes = patched.changes.length > 0 || patched.isUnreadable ? null : diffOf(diffs);
  const place = noteOutside(request, folder);
  const content = {
    subject: name === null ? '' : clean(String(input[name])),
    files: changeLines(request, patched.changes, folder).map((line) => clean(line)),
    notes: [
      ...(place === null ? [] : [clean(place)]),
      ...(patched.isUnreadable ? ['⚠️ I can’t read this as a patch, so I don’t know which files it changes.'] : []),
      ...(covered.note === null ? [] : [covered.note]),
      ...(tool.length > TOOL_NAME ? [`The tool’s full name: ${tool}`] : []),
    ],
    rest: printFields(
      Object.entries(input).filter(([field]) => !taken.has(field)),
      clean,
    ),
    diff: changes && { ...changes, lines: clean(changes.lines) },
    noDiff: diffs.flatMap((file) => (file.kind === 'unavailable' ? [`${file.fileName}: ${file.reason}`] : [])),
    description: account === null ? null : clean(account),
  };
  const { isRedacted, isWithheld } = cleaner;
  // Whatever the working directory is, the same requests fit: a click is judged by what its card showed.
  const places = changeLines(request, patched.changes, null).map((line) => 2 * visibleLength(line) + PLACE);
  const isClipped = sum([widthOf(content), ...places]) > CARD_TEXT;
  return { ...content, isRedacted, isWithheld, isClipped, refusal: null, isPartlyShown: isClipped || isWithheld };
}

/**
 * The field that says what will run or be touched. Where several could, none is put in front: all are shown by name.
 */
function subjectOf(input: Record<string, unknown>): string | null {
  const names = SUBJECTS.filter((field) => Object.hasOwn(input, field) && input[field] !== '');
  const [name] = names;
  return name !== undefined && names.length === 1 && typeof input[name] === 'string' ? name : null;
}

/** What the model says of the call, where it is one short line and not the only thing that the call says. */
function accountOf({ description, ...others }: Record<string, unknown>): string | null {
  if (typeof description !== 'string' || description.trim() === '' || subjectOf(others) === null) return null;
  return /[\n\r\u2028\u2029]/.test(description) || visibleLength(description) > ACCOUNT ? null : description;
}

/** Of everything on the card that does not depend on the working directory. */
function widthOf({ subject, rest, diff, noDiff }: Pick<ShownRequest, 'subject' | 'rest' | 'diff' | 'noDiff'>): number {
  return sum([subject, rest, diff?.lines ?? '', ...noDiff].map(visibleLength));
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);

/** All of it as one text, in the order of the card: what the full view shows. */
export function fullText(request: ApprovalRequest, folder: string | null = null, eyes: Eyes = 'all'): string {
  const { subject, files, notes, rest, diff, noDiff, description } = shownRequest(request, folder, eyes);
  const changes = diff && `${countsOf(diff)}\n${diff.lines}`;
  const account = description === null ? '' : `In the model’s own words: ${description}`;
  const reasons = noDiff.map((line) => `No diff for ${line}`);
  const all = [...notes, subject, files.join('\n'), rest, changes ?? '', ...reasons, account];
  return all.filter((part) => part !== '').join('\n\n') || '(no input)';
}

/** Of one input, for the audit. */
const KEPT = 8_000;

/** What is kept of a request: as the one who decides is shown it, its middle left out where it is long. */
export function auditText(request: ApprovalRequest, folder: string | null): string {
  const text = fullText(request, folder, 'own');
  if (text.length <= KEPT) return text;
  const half = KEPT / 2;
  return `${text.slice(0, half)}\n… ${text.length - KEPT} characters left out …\n${text.slice(-half)}`;
}

/** `+12 −3 · a.ts, b.ts` */
export function countsOf({ added, removed, files }: NonNullable<ShownRequest['diff']>): string {
  return `+${added} −${removed} · ${files.join(', ')}`;
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

/** How long a text is at most once everything invisible in it is made visible. */
function visibleLength(text: string): number {
  if (text.length > CARD_TEXT) return text.length;
  return text.length + (text.match(INVISIBLE)?.length ?? 0) * INVISIBLE_SHOWN;
}
