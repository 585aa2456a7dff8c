import { connect } from './replay.ts';
import type { Frame } from './trace.ts';

const PATIENCE = 4000;

/** A client of the scripted Letta for tests: sends frames, waits for frames. */
export interface TestClient {
  readonly heard: Frame[];
  send(frame: Frame): void;
  /** The first frame, from `from` on, that fits; fails when none comes. */
  until(fits: (frame: Frame) => boolean, from?: number): Promise<Frame>;
  closed(): Promise<number>;
  /** Reads nothing for now. */
  pause(): void;
  resume(): void;
  cut(): void;
}

export async function openClient(url: string, token: string | null = null): Promise<TestClient> {
  const client = await connect(url, token);
  if (!client) throw new Error('the upgrade was refused');
  const { ws, heard } = client;
  const closing = new Promise<number>((resolve) => ws.on('close', (code) => resolve(code)));
  return {
    heard,
    send: (frame) => ws.send(JSON.stringify(frame)),
    cut: () => ws.terminate(),
    closed: () => closing,
    pause: () => ws.pause(),
    resume: () => ws.resume(),
    until: (fits, from = 0) =>
      new Promise((resolve, reject) => {
        const look = (): boolean => {
          const found = heard.slice(from).find(fits);
          if (found) finish(() => resolve(found));
          return found !== undefined;
        };
        const timer = setTimeout(() => finish(() => reject(new Error('no such frame came'))), PATIENCE);
        const finish = (then: () => void): void => {
          clearTimeout(timer);
          ws.off('message', look);
          then();
        };
        if (!look()) ws.on('message', look);
      }),
  };
}

export const isType = (type: string) => (frame: Frame) => frame.type === type;

export const isDelta = (messageType: string) => (frame: Frame) =>
  (frame.delta as Frame | undefined)?.message_type === messageType;

export const isAnswerTo = (requestId: string) => (frame: Frame) =>
  frame.request_id === requestId && frame.type !== 'control_request';

export function message(runtime: Frame, content: string | readonly Frame[], id: string): Frame {
  const messages = [{ role: 'user', content, client_message_id: id }];
  return { type: 'input', request_id: `in-${id}`, runtime, payload: { kind: 'create_message', messages } };
}

/** Starts a new conversation in `standard` mode. */
export async function startConversation(client: TestClient, agentId: string, mode = 'standard'): Promise<Frame> {
  client.send({
    type: 'runtime_start',
    request_id: 'start',
    agent_id: agentId,
    create_conversation: {},
    mode,
    wait_for_replay: true,
  });
  const answer = await client.until(isAnswerTo('start'));
  return answer.runtime as Frame;
}

/** All that the client has been told of its runs' text, in order. */
export function textOfRuns(client: TestClient): string {
  return client.heard
    .filter(isDelta('assistant_message'))
    .map((frame) => ((frame.delta as Frame).content as { text: string }[])[0]?.text ?? '')
    .join('');
}
