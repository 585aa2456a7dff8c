import type { FetchLike } from '../../src/letta/hosted-api.ts';

interface Call {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | undefined;
}

type Answer = { status: number; body: unknown };
/** The answer's date, by the server's own clock; `null`: none. */
type Dated = { date: number | null };

export interface FakeHttp extends Dated {
  fetch: FetchLike;
  calls: Call[];
  /** The next answer; a string is sent as it is. */
  answerNext(status: number, body: unknown): void;
  /** Sets the answer for calls after the prepared ones; `null` breaks the connection. */
  answerAlways(answer: (call: Call) => Answer | null): void;
  /** The next call gets no answer until it is aborted. */
  hangNext(): void;
}

/** A server behind `fetch` that gives prepared answers. */
export function createFakeHttp(): FakeHttp {
  const prepared: (Answer | 'hang')[] = [];
  let fallback: (call: Call) => Answer | null = () => null;
  const http: FakeHttp = {
    calls: [],
    date: null,
    answerNext: (status, body) => void prepared.push({ status, body }),
    answerAlways: (answer) => {
      fallback = answer;
    },
    hangNext: () => void prepared.push('hang'),
    async fetch(url, { method, headers, body, signal }) {
      const call = { method, url, headers, body };
      http.calls.push(call);
      const answer = prepared.shift() ?? fallback(call);
      if (answer === null) throw new TypeError('fetch failed');
      if (answer === 'hang') {
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      }
      const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
      const date = http.date === null ? null : new Date(http.date).toUTCString();
      const dated = { get: (name: string) => (name === 'date' ? date : null) };
      return { status: answer.status, headers: dated, text: async () => text };
    },
  };
  return http;
}

/** Reads the body to its end, because `fetch` keeps the socket of one that was not read. */
export async function statusOf(url: string | URL, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, init);
  await response.arrayBuffer();
  return response.status;
}
