import type { Log } from '../../src/bridge/ports.ts';

/** What happened, line by line, and the broken promises. */
export class Story {
  readonly lines: string[] = [];
  readonly violations: string[] = [];
  readonly #now: () => number;
  readonly #start: number;
  readonly #tell: ((line: string) => void) | null;

  constructor(now: () => number, tell: ((line: string) => void) | null = null) {
    this.#now = now;
    this.#start = now();
    this.#tell = tell;
  }

  addLine(who: string, what: string): void {
    const line = `${((this.#now() - this.#start) / 1000).toFixed(3).padStart(9)}  ${who.padEnd(7)} ${what}`;
    this.lines.push(line);
    this.#tell?.(line);
  }

  addViolation(what: string): void {
    if (this.violations.includes(what)) return;
    this.violations.push(what);
    this.addLine('!!!', what);
  }

  /** A log for the bridge that becomes part of the story; logged bugs are violations. */
  makeLog(fields: object = {}): Log {
    const write = (level: string) => (more: object, message: string) => {
      const all: Record<string, unknown> = { ...fields, ...more };
      const error = all.err ?? all.error;
      if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) {
        this.addViolation(
          `the bridge threw ${error.name}: ${error.message} ${error.stack?.split('\n')[1]?.trim() ?? ''}`,
        );
      }
      if (/has a bug/.test(message)) this.addViolation(`the bridge says: ${message} ${describe(error)}`);
      if (level !== 'debug')
        this.addLine('bridge', `${level === 'info' ? '' : `${level}: `}${message}${fieldsText(all)}`);
    };
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (more) => this.makeLog({ ...fields, ...more }),
    };
  }
}

function fieldsText(fields: Record<string, unknown>): string {
  const words = Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined || name === 'digest') return [];
    return [`${name}=${value instanceof Error ? describe(value) : JSON.stringify(value)}`];
  });
  return words.length === 0 ? '' : ` · ${words.join(' ')}`;
}

function describe(error: unknown): string {
  return error instanceof Error ? `"${error.message}"` : String(error);
}
