import type { ApprovalRequest, FileDiff } from '../agent-event.ts';
import { INVISIBLE, INVISIBLE_SHOWN } from '../text/invisible.ts';
import { sizeOf } from '../text/json.ts';
import { printFields } from '../text/print-input.ts';
import { hideSecrets } from '../text/secrets/hide.ts';
import { PLAN_TOOL } from '../turn/steps.ts';
import {
  CARD_NOTES,
  deeperThanText,
  fullNameText,
  longerThanText,
  noDiffText,
  ownWordsText,
} from '../words/requests.ts';
import { changedFiles, changeLines, noteOutside, pathInside } from './changed-files.ts';
import { coveredByDiff } from './covered-by-diff.ts';

/** What people see of a request: every word of it, except for secrets. Foreign text, not escaped yet. */
export interface ShownRequest {
  /** What will run or be touched, whole: the command or the path. Empty when the tool has none, or several. */
  subject: string;
  /**
   * The subject as a card's head may name it, when it is the path of one file, short and without anything that could be
   * misread: as written, or from the working directory on, which the card names below. `null`: the head cannot.
   */
  file: string | null;
  /** The plan that the agent asks consent to, in its own Markdown; `null`: it is no plan. */
  plan: string | null;
  /** Of a patch: what happens to which file, one line each, with whole paths. */
  files: string[];
  /** Warnings and hints that no field contains. */
  notes: string[];
  /** Every other field of the input, except those that the diff shows letter by letter. */
  rest: string;
  diff: DiffShown | null;
  /** Why Letta made no diff, one line per file. */
  noDiff: string[];
  /** The model's description of the call, if it is short; else it is a field like others. */
  description: string | null;
  /** Whether something above is hidden because it looks like a secret. */
  isRedacted: boolean;
  /** Whether the person who decides sees some of that, because it may be no secret. */
  isWithheld: boolean;
  /** Whether it is too long for a card. */
  isClipped: boolean;
  /** Why it cannot be shown to anyone, so that the bridge must deny it. `null`: it can. */
  refusal: string | null;
  /**
   * Whether the card shows less than the person who decides must see, because it is withheld or clipped: then only the full
   * view can be approved.
   */
  isPartlyShown: boolean;
}

export interface DiffShown {
  /** Names of the files, which Letta gives without folders; empty when it is the one file of the subject. */
  files: string[];
  added: number;
  removed: number;
  lines: string;
}

/** Who reads it: everybody in the thread (`all`), or only the person who decides, in a modal (`own`). */
export type Eyes = 'all' | 'own';

/**
 * As wide as a card's text may get: far below what a message may hold (docs/slack.md, Size limits), with the rest of
 * the card.
 */
const CARD_TEXT = 6_000;
/** The longest description by the model that a card shows as such. */
const ACCOUNT = 300;
/** How much the note about a file's place adds to its path on a card, unless the working directory is very long. */
const PLACE = 200;
/** The longest tool name that a card's head shows whole. */
const TOOL_NAME = 80;
const SUBJECTS = ['command', 'cmd', 'file_path', 'path', 'notebook_path', 'url'];

const known = new WeakMap<ApprovalRequest, Map<string, ShownRequest>>();

/**
 * What people see of a request. The same request gives the same object, because inputs may be big.
 * @param folder the working directory; `null`: not known
 */
export function shownRequest(request: ApprovalRequest, folder: string | null = null, eyes: Eyes = 'all'): ShownRequest {
  const key = `${eyes} ${folder ?? ''}`;
  const before = known.get(request) ?? new Map<string, ShownRequest>();
  const shown = before.get(key) ?? show(request, folder, new Cleaner(eyes));
  known.set(request, before.set(key, shown));
  return shown;
}

/** Hides the secrets in one text after another, and remembers whether there were some. */
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

/** The longest input that is shown: searching a longer one for secrets would block the process for everybody else. */
const LETTERS = 200_000;
/** The longest input with its diffs, which repeat most of the input. */
const WITH_DIFFS = 2 * LETTERS;
/** The deepest input that is shown. */
const LEVELS = 10_000;

function refusalOf({ input, diffs }: ApprovalRequest): string | null {
  const { depth, letters } = sizeOf([input, diffs], { depth: LEVELS, letters: WITH_DIFFS });
  if (depth > LEVELS) return deeperThanText(LEVELS);
  if (sizeOf(input, { depth: LEVELS, letters: LETTERS }).letters > LETTERS) return longerThanText(LETTERS, false);
  return letters > WITH_DIFFS ? longerThanText(WITH_DIFFS, true) : null;
}

function show(request: ApprovalRequest, folder: string | null, cleaner: Cleaner): ShownRequest {
  const refusal = refusalOf(request);
  if (refusal === null) return showAll(request, folder, cleaner);
  const nothing = {
    subject: '',
    file: null,
    plan: null,
    files: [],
    notes: [],
    diff: null,
    noDiff: [],
    description: null,
  };
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
  // Letta's diffs of a patch leave out deleted files, so the patch itself is shown instead.
  const changes = patched.changes.length > 0 || patched.isUnreadable ? null : diffOf(diffs, baseName(input, name));
  const place = noteOutside(request, folder);
  const subject = name === null ? '' : clean(String(input[name]));
  const plan =
    tool === PLAN_TOOL && typeof input.plan === 'string' && input.plan.trim() !== '' ? clean(input.plan) : null;
  if (plan !== null) taken.add('plan');
  const content = {
    subject,
    file: name !== null && PATHS.has(name) && subject === input[name] ? headPath(subject, folder) : null,
    plan,
    files: changeLines(request, patched.changes, folder).map((line) => clean(line)),
    notes: [
      ...(request.facts ?? []).map((fact) => clean(fact)),
      ...(place === null ? [] : [clean(place)]),
      ...(patched.isUnreadable ? [CARD_NOTES.unreadablePatch] : []),
      ...(covered.note === null ? [] : [covered.note]),
      ...(tool.length > TOOL_NAME ? [fullNameText(tool)] : []),
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
  // Measured without the working directory, so that a request fits or not whatever the directory is when it is clicked.
  const places = changeLines(request, patched.changes, null).map((line) => 2 * visibleLength(line) + PLACE);
  const isClipped = sum([widthOf(content), ...places]) > CARD_TEXT;
  return { ...content, isRedacted, isWithheld, isClipped, refusal: null, isPartlyShown: isClipped || isWithheld };
}

/**
 * The field that says what will run or be touched. When several could be it, none is the subject: all are shown by name.
 */
function subjectOf(input: Record<string, unknown>): string | null {
  const names = SUBJECTS.filter((field) => Object.hasOwn(input, field) && input[field] !== '');
  const [name] = names;
  return name !== undefined && names.length === 1 && typeof input[name] === 'string' ? name : null;
}

const PATHS: ReadonlySet<string> = new Set(['file_path', 'notebook_path']);
/** The longest path that a card's head names. */
const HEAD_PATH = 100;

function headPath(path: string, folder: string | null): string | null {
  const isPlain =
    path !== '' && path === path.trim() && !/[\r\n\u2028\u2029]|\s{2}/.test(path) && !path.match(INVISIBLE);
  if (!isPlain) return null;
  const short = pathInside(path, folder) ?? path;
  return short.length <= HEAD_PATH ? short : null;
}

/** The name of the file that the subject is; `null`: it is none. */
function baseName(input: Record<string, unknown>, subject: string | null): string | null {
  return subject !== null && PATHS.has(subject) ? (/[^/\\]*$/.exec(String(input[subject]))?.[0] ?? null) : null;
}

/** The model's description of the call, if it is one short line and the call has a subject besides. */
function accountOf({ description, ...others }: Record<string, unknown>): string | null {
  if (typeof description !== 'string' || description.trim() === '' || subjectOf(others) === null) return null;
  return /[\n\r\u2028\u2029]/.test(description) || visibleLength(description) > ACCOUNT ? null : description;
}

/** The length of everything on the card that does not depend on the working directory. */
function widthOf({
  subject,
  plan,
  rest,
  diff,
  noDiff,
}: Pick<ShownRequest, 'subject' | 'plan' | 'rest' | 'diff' | 'noDiff'>): number {
  return sum([subject, plan ?? '', rest, diff?.lines ?? '', ...noDiff].map(visibleLength));
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);

/** All of it as one text, in the order of the card: what the full view shows. */
export function fullText(request: ApprovalRequest, folder: string | null = null, eyes: Eyes = 'all'): string {
  const { subject, plan, files, notes, rest, diff, noDiff, description } = shownRequest(request, folder, eyes);
  const changes = diff && `${countsOf(diff)}\n${diff.lines}`;
  const account = description === null ? '' : ownWordsText(description);
  const reasons = noDiff.map((line) => noDiffText(line));
  const all = [...notes, subject, plan ?? '', files.join('\n'), rest, changes ?? '', ...reasons, account];
  return all.filter((part) => part !== '').join('\n\n') || '(no input)';
}

/** How much of one input the audit keeps. */
const KEPT = 8_000;

/** What the audit keeps of a request: what the person who decides sees, without its middle when it is long. */
export function auditText(request: ApprovalRequest, folder: string | null): string {
  const text = fullText(request, folder, 'own');
  if (text.length <= KEPT) return text;
  const half = KEPT / 2;
  return `${text.slice(0, half)}\n… ${text.length - KEPT} characters left out …\n${text.slice(-half)}`;
}

/** `+12 −3 · a.ts, b.ts` */
export function countsOf({ added, removed, files }: DiffShown): string {
  return [`+${added} −${removed}`, ...(files.length > 0 ? [files.join(', ')] : [])].join(' · ');
}

const SIGN = { add: '+', remove: '-', context: ' ' } as const;

/** @param only the name of the one file that the request names: a diff of that file alone does not repeat it */
function diffOf(diffs: readonly FileDiff[], only: string | null): DiffShown | null {
  const hunked = diffs.flatMap((file) => (file.kind === 'hunks' ? [file] : []));
  const isOfOnly = hunked.every(({ fileName }) => fileName === only);
  const lines: string[] = [];
  let [added, removed] = [0, 0];
  for (const file of hunked) {
    for (const hunk of file.hunks) {
      const at = `@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@`;
      lines.push(isOfOnly ? at : `${at} ${file.fileName}`);
      for (const line of hunk.lines) {
        if (line.type === 'add') added += 1;
        else if (line.type === 'remove') removed += 1;
        lines.push(SIGN[line.type] + line.content);
      }
    }
  }
  const files = isOfOnly ? [] : hunked.map(({ fileName }) => fileName);
  return hunked.length === 0 ? null : { files, added, removed, lines: lines.join('\n') };
}

/** How long a text is at most once everything invisible in it is made visible. */
function visibleLength(text: string): number {
  if (text.length > CARD_TEXT) return text.length;
  return text.length + (text.match(INVISIBLE)?.length ?? 0) * INVISIBLE_SHOWN;
}
