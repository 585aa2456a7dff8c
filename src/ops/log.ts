import { createRequire } from 'node:module';
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { prettyFactory } from 'pino-pretty';
import type { Log } from '../bridge/ports.ts';
import { printable, printableJson } from '../printable.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The log of a process: its children follow it when its level changes. */
export interface ProcessLog extends Log {
  readonly level: LogLevel;
  setLevel(level: LogLevel): void;
  /** Hides one more value from now on. Of those that came in this way only the newest are remembered. */
  hide(secret: string): void;
}

export interface LogOptions {
  level: LogLevel;
  /** Lines for people instead of JSON. */
  pretty: boolean;
  /** Values that must not appear, besides everything that looks like a token. */
  secrets?: readonly string[];
  /** Where the lines go; default is standard output. */
  to?: DestinationStream;
}

const TEXT_MAX = 2_000;
const LIST_MAX = 50;
const DEPTH_MAX = 6;
const CAUSES_MAX = 5;
const HIDDEN = '[hidden]';
/** Each is looked for in every line. What looks like a token of Slack's is hidden without being remembered, too. */
const MORE_SECRETS = 200;
// Fields whose value is always a secret.
const SECRET_FIELD = /^(authorization|token|bot_?token|app_?token|api_?key|signing_?secret|password|secret|cookie)$/i;
const SECRETS_IN_TEXT: readonly (readonly [RegExp, string])[] = [
  [/\bx(?:ox[a-z]|app)[-.][A-Za-z0-9.-]{3,}/g, HIDDEN],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+/gi, `$1 ${HIDDEN}`],
  [/\b((?:access_|refresh_)?token|api_?key|secret|ticket)=[^&\s"'\\<>]+/gi, `$1=${HIDDEN}`],
  // The path of a socket address holds connection ids and tickets: whoever has it can read our messages.
  [/\b(wss?:\/\/)(?:[^\s"'\\<>/@]*@)?([^\s"'\\<>/?#]+)[/?#][^\s"'\\<>]*/gi, `$1$2/${HIDDEN}`],
  [/\b(https?:\/\/)[^\s"'\\<>/@]+@/gi, `$1${HIDDEN}@`],
];

/** Loaded only where lines are for people, because its thirty files would be read at every start. */
function createPretty(colorize: boolean): ReturnType<typeof prettyFactory> {
  const pretty: typeof import('pino-pretty') = createRequire(import.meta.url)('pino-pretty');
  return pretty.prettyFactory({ ignore: 'pid,hostname', singleLine: true, colorize });
}

/**
 * The process's log: fields first, then a constant sentence. Secrets are removed from every line. Control and invisible
 * characters are written as numbers.
 */
export function createLog(options: LogOptions): ProcessLog {
  const to = options.to ?? destination({ fd: 1, sync: true });
  const secrets = options.secrets ?? [];
  let hide = createHider(secrets);
  const more = new Set<string>();
  const forPeople = options.pretty ? createPretty(options.to === undefined) : null;
  const write = (line: string) => {
    const hidden = hide(line);
    to.write(forPeople ? (forPeople(printableValue(JSON.parse(hidden))) ?? hidden) : printableJson(hidden));
  };
  const logger = pino(
    {
      // `gate` filters by level, because a pino child keeps the level that its parent had when it was created.
      level: 'debug',
      timestamp: stdTimeFunctions.isoTime,
      base: null,
      formatters: { level: (label) => ({ level: label }), log: (fields) => fieldsOf(fields, 0) },
      // `fieldsOf` has already turned errors into plain objects.
      serializers: { err: (error: unknown) => error },
    },
    { write },
  );
  const gate = { level: options.level };
  return {
    ...wrapLogger(logger, gate),
    get level() {
      return gate.level;
    },
    setLevel(level) {
      gate.level = level;
    },
    hide(secret) {
      if (more.has(secret)) return;
      more.add(secret);
      for (const oldest of more) {
        if (more.size <= MORE_SECRETS) break;
        more.delete(oldest);
      }
      hide = createHider([...secrets, ...more]);
    },
  };
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** pino formats only the fields of a line, so a child's fields are formatted here when they are bound. */
function wrapLogger(logger: Logger, gate: { readonly level: LogLevel }): Log {
  const at = (level: LogLevel) => (fields: object, message: string) => {
    if (RANK[level] >= RANK[gate.level]) logger[level](fields, message);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrapLogger(logger.child(fieldsOf(fields, 0)), gate),
  };
}

/**
 * Makes a function that removes secrets from text. @param secrets exact values; shorter than 6 characters are ignored,
 * because they would hide ordinary words.
 */
export function createHider(secrets: readonly string[]): (text: string) => string {
  const values = secrets
    .filter((secret) => secret.length >= 6)
    // The second form is how the value looks inside JSON.
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  return (text) => {
    let hidden = text;
    for (const value of values) hidden = hidden.replaceAll(value, HIDDEN);
    for (const [pattern, instead] of SECRETS_IN_TEXT) hidden = hidden.replace(pattern, instead);
    return hidden;
  };
}

/** Fields for a log: limited in length and depth, errors with codes and causes, secret fields hidden. */
function fieldsOf(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).slice(0, LIST_MAX);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, SECRET_FIELD.test(name) && value !== null ? HIDDEN : loggable(value, depth)]),
  );
}

function loggable(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return shorten(value);
    case 'bigint':
    case 'symbol':
    case 'function':
      return shorten(String(value));
    case 'object':
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (value instanceof Error) return errorOf(value, 0);
  if (depth >= DEPTH_MAX) return '[deeper]';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'no date' : value.toISOString();
  if (value instanceof Map || value instanceof Set) return loggable([...value].slice(0, LIST_MAX), depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, LIST_MAX).map((each) => loggable(each, depth + 1));
  return fieldsOf(value, depth + 1);
}

function errorOf(error: Error, depth: number): Record<string, unknown> {
  const code = 'code' in error ? error.code : undefined;
  return {
    type: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: shorten(error.message),
    // Only the outermost stack: those of the causes are long and seldom help.
    ...(depth === 0 && error.stack !== undefined ? { stack: shorten(stackOf(error, error.stack)) } : {}),
    ...(error.cause === undefined || depth >= CAUSES_MAX
      ? {}
      : {
          cause: error.cause instanceof Error ? errorOf(error.cause, depth + 1) : loggable(error.cause, DEPTH_MAX - 1),
        }),
  };
}

/** Puts the message on one line, because its line breaks could look like other lines of the log. */
function stackOf({ message }: Error, stack: string): string {
  return stack.replace(message, () => message.replaceAll(/\r?\n/g, '\\n'));
}

/** A line's values without control characters; only stacks keep line breaks. */
function printableValue(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return name === 'stack' ? printable(value) : onOneLine(value);
  if (Array.isArray(value)) return value.map((each) => printableValue(each));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [onOneLine(key), printableValue(each, key)]));
}

function onOneLine(text: string): string {
  return printable(text).replaceAll('\n', '⏎');
}

function shorten(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}… (${text.length} characters)`;
}
