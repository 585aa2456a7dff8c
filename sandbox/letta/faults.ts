import type { Json } from './types.ts';

const FAULT_KINDS = ['close', 'freeze', 'restart', 'drop_frames', 'offline', 'expire'] as const;
type FaultKind = (typeof FAULT_KINDS)[number];

/**
 * A fault that happens after `after` further frames to clients (0: at once), `times` times. `ms`: how long it lasts.
 */
export interface Fault {
  readonly kind: FaultKind;
  readonly after?: number;
  readonly ms?: number;
  /** For `drop_frames`: how many frames get lost. */
  readonly times?: number;
}

const MAX_ARMED = 100;

export function readFault(body: Json): Fault | string {
  const kind = FAULT_KINDS.find((known) => known === body.kind);
  if (!kind) return `kind must be one of ${FAULT_KINDS.join(', ')}`;
  const numbers = ['after', 'ms', 'times'] as const;
  const wrong = numbers.find((name) => body[name] !== undefined && !(Number(body[name]) >= 0));
  if (wrong) return `${wrong} must be a number of 0 or more`;
  const given = numbers.filter((name) => body[name] !== undefined).map((name) => [name, Number(body[name])]);
  return { kind, ...Object.fromEntries(given) };
}

interface Armed {
  readonly fault: Fault;
  left: number;
  times: number;
}

/** Counts frames and says when a fault is due. Knows nothing of sockets. */
export class Faults {
  readonly #cause: (fault: Fault) => void;
  #armed: Armed[] = [];
  #isCausing = false;

  constructor(strike: (fault: Fault) => void) {
    this.#cause = strike;
  }

  get armed(): readonly Json[] {
    return this.#armed.map(({ fault, left, times }) => ({ ...fault, left, times }));
  }

  addFault(fault: Fault): void {
    const armed = { fault, left: fault.after ?? 0, times: fault.times ?? 1 };
    if (armed.left === 0 && fault.kind !== 'drop_frames') {
      this.#cause(fault);
      armed.times -= 1;
      armed.left = fault.after ?? 1;
    }
    if (armed.times > 0 && this.#armed.length < MAX_ARMED) this.#armed.push(armed);
  }

  /** Called for each event before it is sent; false: the event is lost. */
  mayPass(): boolean {
    if (this.#isCausing) return false;
    let admitted = true;
    for (const armed of [...this.#armed]) {
      if (armed.left > 0) {
        armed.left -= 1;
        if (armed.left > 0 || armed.fault.kind === 'drop_frames') continue;
      }
      armed.times -= 1;
      if (armed.times <= 0) this.#armed = this.#armed.filter((one) => one !== armed);
      if (armed.fault.kind === 'drop_frames') admitted = false;
      else {
        armed.left = armed.fault.after ?? 1;
        this.#causeSoon(armed.fault);
      }
    }
    return admitted;
  }

  /** Causes the fault after the present frame and before any other. */
  #causeSoon(fault: Fault): void {
    this.#isCausing = fault.kind !== 'freeze';
    setImmediate(() => {
      this.#isCausing = false;
      this.#cause(fault);
    });
  }
}
