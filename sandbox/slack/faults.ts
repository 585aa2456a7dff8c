export type FaultKind =
  | 'ratelimited'
  | 'ok_false'
  | 'http_500'
  | 'reset_before'
  | 'reset_after'
  | 'delay'
  | 'html'
  | 'redirect';

export interface CallFault {
  /** Left out: any Web API method. */
  method?: string;
  kind: FaultKind;
  /** For `ok_false`; default `internal_error`. */
  error?: string;
  /** Seconds, for `ratelimited`; default 1. */
  retryAfter?: number;
  /** For `delay`; default 1000. */
  ms?: number;
  /** For `redirect`, of downloads only (`url_private`): where to; default Slack's login page. */
  to?: string;
  /** How many calls it hits; default 1. */
  times?: number;
}

export interface SocketFault {
  socket: 'close' | 'disconnect_warning' | 'freeze' | 'no_hello' | 'refuse';
  /**
   * `disconnect_warning`: time until the close (default 10,000). `freeze`: how long (default 60,000).
   * `no_hello`, `refuse`: for how long instead of how often.
   */
  ms?: number;
  /** `no_hello`, `refuse`: how many connections; default 1. */
  times?: number;
}

const MAX_FAULTS = 1_000;

/** Faults that wait for matching calls; the oldest match is used first. */
export class Faults {
  #calls: (CallFault & { left: number })[] = [];

  addFault(fault: CallFault): void {
    if (this.#calls.length >= MAX_FAULTS) this.#calls.shift();
    this.#calls.push({ ...fault, left: fault.times ?? 1 });
  }

  takeFault(method: string): CallFault | null {
    const isDownload = method === 'url_private';
    const fault = this.#calls.find((each) => each.method === method || (each.method === undefined && !isDownload));
    if (!fault) return null;
    fault.left -= 1;
    if (fault.left <= 0) this.#calls = this.#calls.filter((other) => other !== fault);
    return fault;
  }

  /** One that names the method `url_private`: downloads of files are not calls of the Web API. */
  takeDownloadFault(): CallFault | null {
    return this.#calls.some(({ method }) => method === 'url_private') ? this.takeFault('url_private') : null;
  }

  listFaults(): CallFault[] {
    return this.#calls.map(({ left, ...fault }) => ({ ...fault, times: left }));
  }

  clearFaults(): void {
    this.#calls = [];
  }
}
