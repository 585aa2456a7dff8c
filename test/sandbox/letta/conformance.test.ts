import { readdirSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ReplayOptions, replay } from './replay.ts';
import { type Frame, readTrace, textOf } from './trace.ts';

interface Case extends ReplayOptions {
  readonly trace: string;
}

/** What earlier recordings had left in the project folder. */
const files = (...names: string[]) => Object.fromEntries(names.map((name) => [`/home/user/project/${name}`, '']));

/** The recording's list reaches into an earlier recording, and that server's provider had one model. */
function onlyTwoConversations(frame: Frame): Frame {
  if (Array.isArray(frame.available_handles))
    return { ...frame, available_handles: frame.available_handles.slice(0, 1) };
  if (!Array.isArray(frame.conversations)) return frame;
  return { ...frame, conversations: frame.conversations.slice(0, 2) };
}

/** Whether the folder is a repository is the recorder's own. */
function withoutGit(frame: Frame): Frame {
  const { device_status: status } = frame;
  return status ? { ...frame, device_status: { ...(status as Frame), git_context: null } } : frame;
}

/** Echoes are cut to 80 characters and results to 200: where that falls depends on paths of the recorded machine. */
function withoutCuts(frame: Frame): Frame {
  const delta = frame.delta as Frame | undefined;
  if (delta?.message_type !== 'assistant_message') return frame;
  const shown = textOf(delta).startsWith('Echo:') ? 'Echo: …' : textOf(delta).slice(0, 30);
  return { ...frame, delta: { ...delta, content: [{ type: 'text', text: shown }] } };
}

/** Schedules tell the time in a zone, their ids are chance, and this recording’s folder was no repository. */
function withoutClock(frame: Frame): Frame {
  const plain = JSON.stringify(withoutCuts(frame))
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d\[/g, 'TIME[')
    .replace(/"(id|jobId)":"[0-9a-f]{8}"/g, '"$1":"TASK"')
    .replace(/"git_context":\{[^}]*\}/g, '"git_context":null')
    .replace(/"(ts|timestamp|runAtMs)":\d+/g, '"$1":0');
  return JSON.parse(plain) as Frame;
}

/** A device that is asked to stop repeats its state while it goes; one that is killed, as the fault does it, does not. */
function withoutLastWords(frame: Frame): Frame | null {
  return frame.event_seq === 168 || frame.event_seq === 169 ? null : frame;
}

/** Words go on while a client comes back: how many arrive before the answer to its sync is a matter of luck. */
const byWords = (frame: Frame) =>
  (frame.delta as Frame | undefined)?.message_type === 'assistant_message' ? 'words' : 'rest';

const byConversation = (frame: Frame) => String((frame.runtime as Frame | undefined)?.conversation_id);
const bySubagent = (frame: Frame) =>
  'subagent_id' in frame || frame.type === 'update_subagent_state' ? 'subagent' : 'parent';

const CASES: readonly Case[] = [
  { trace: '01-runtime-start-create' },
  { trace: '02-runtime-start-existing' },
  { trace: '03-turn-plain' },
  { trace: '04-turn-reasoning' },
  { trace: '05-tool-no-approval' },
  { trace: '05b-text-tool-text' },
  { trace: '06-approval-allow' },
  { trace: '07-approval-deny' },
  { trace: '07b-approval-error' },
  { trace: '08-approval-updated-input' },
  { trace: '09-approval-suggestion' },
  { trace: '10-edit-write-diffs' },
  { trace: '11-parallel-approvals', files: files('allowed.txt', 'changed.txt', 'made-dir', 'poem.txt') },
  { trace: '12-ask-user-question' },
  { trace: '12b-question-unrestricted' },
  { trace: '13-abort-midstream', hideWords: true },
  { trace: '13b-abort-before-first-token' },
  {
    trace: '13c-abort-running-tool',
    files: files('allowed.txt', 'changed.txt', 'made-dir', 'one.txt', 'poem.txt', 'three.txt'),
  },
  { trace: '14-abort-approval-pending' },
  { trace: '15-queue', hideWords: true, scale: 0.3 },
  { trace: '15b-queue-while-approval' },
  { trace: '15c-queue-remove-abort', hideWords: true, scale: 0.3 },
  { trace: '16-duplicate-client-message-id', hideWords: true, scale: 0.3 },
  { trace: '17-model-error' },
  { trace: '17b-model-error-500' },
  { trace: '18-unknown-ids' },
  { trace: '19-malformed' },
  { trace: '20-disconnect-midturn', hideWords: true },
  { trace: '20b-reconnect-fast-midturn', hideWords: true, scale: 0.1 },
  { trace: '21-disconnect-approval' },
  { trace: '22-two-clients' },
  { trace: '23-sync', hideWords: true, scale: 0.3 },
  {
    trace: '24-change-mode',
    files: {
      ...files('allowed.txt', 'both.txt', 'changed.txt', 'made-dir', 'one.txt', 'poem.txt', 'q.txt', 'three.txt'),
      // Where it changes to.
      '/home/user/tmp/notes.txt': '',
    },
  },
  { trace: '24b-mode-omitted' },
  { trace: '25-image' },
  { trace: '27-markdown' },
  { trace: '28-management', edit: onlyTwoConversations },
  { trace: '29-turn-options' },
  { trace: '30-two-conversations', apart: byConversation },
  { trace: '31-subagent', apart: bySubagent, subagent: 1_500, edit: withoutCuts },
  { trace: '32-background-task', edit: withoutCuts },
  { trace: '33-external-tool' },
  { trace: '62-external-timeout', scale: 0.003, edit: withoutGit },
  { trace: '67-external-abort', edit: withoutGit },
  { trace: '34a-restart-tool-approval-pending' },
  { trace: '34b-restart-question-pending' },
  { trace: '34c-restart-midturn', hideWords: true },
  { trace: '34d-restart-tool-running' },
  { trace: '34e-mode-after-restart' },
  { trace: '37-slash-command', edit: withoutCuts },
  { trace: '80-cron-commands', edit: withoutClock },
  { trace: 'h01-single-socket-sync' },
  { trace: 'h02-pair-runtime-start' },
  { trace: 'h03-approval' },
  { trace: 'h04-abort', hideWords: true },
  { trace: 'h05-device-restart', hideWords: true, edit: withoutLastWords },
  { trace: 'h06-device-transport-loss', hideWords: true, paired: true },
  { trace: 'h06b-device-transport-loss-1s', hideWords: true },
  { trace: 'h07-client-transport-loss', hideWords: true, paired: true, apart: byWords },
  { trace: 'h08-two-runtimes-event-seq' },
  { trace: 'h10-redelivery', once: true, redeliverMs: 150 },
  { trace: 'h11-approval-client-reconnect' },
  { trace: 'h12-approval-device-restart' },
  { trace: 'h13-device-lease-expires', hideWords: true },
  { trace: 'h14-messages-post' },
];

/** Recordings that are not a client's conversation with the server, or that are not played here for another reason. */
const NOT_REPLAYED: Record<string, string> = {
  '26-long-output': 'plain words again, and the recording itself is shortened',
  '26b-long-tool-output': 'needs a command that the double does not run (seq)',
  '35-http-and-upgrade': 'in app-server.test.ts',
  '36-auth': 'in app-server.test.ts; other kinds of tokens are not doubled',
  '40-image-types': 'in recorded-files.test.ts',
  '46-files-read': 'in recorded-files.test.ts',
  '47-files-write': 'in recorded-files.test.ts',
  '49-files-mode': 'in recorded-files.test.ts',
  '81-cron-fires': 'minutes long: in crons.test.ts',
  'h27-cron-over-relay': 'in crons.test.ts: it sends to another conversation’s socket (seq)',
  'h21-images': 'in recorded-files.test.ts',
  '69-external-two-calls': 'in external-tools.test.ts; its second input met the gap after a turn',
  '38-heartbeat': 'two minutes of silence',
  'd40-listen-bridge-restart': 'in device.test.ts',
  'h00-device-side': "the device's side of the router, which the double has no wire for",
  'h09-rest-and-auth': 'in hosted.test.ts',
};

/** Deltas of a run whose `seq_id` is not the next one; a run that was joined late begins where it begins. */
function unnumbered(frames: readonly Frame[]): Frame[] {
  const last = new Map<string, number>();
  return frames.filter((frame) => {
    const { run_id: run, seq_id: seq } = (frame.delta ?? {}) as { run_id?: string; seq_id?: number };
    if (run === undefined || seq === undefined || frame.seq !== undefined) return false;
    const strand = `${frame.subagent_id} ${JSON.stringify(frame.runtime)} ${run}`;
    const before = last.get(strand);
    last.set(strand, seq);
    return before !== undefined && seq !== before + 1;
  });
}

describe('the scripted Letta', () => {
  it.for(CASES)('sends the recorded frames in $trace', async ({ trace, ...options }) => {
    // A frame may overtake a client that is slow to answer, as on a busy machine: a slower Letta waits for it.
    let heard = await replay(readTrace(trace), options);
    for (const slowness of [4, 16]) {
      if (heard.every(({ expected, actual }) => isDeepStrictEqual(actual, expected))) break;
      heard = await replay(readTrace(trace), { ...options, slowness });
    }
    for (const { socket, expected, actual, frames } of heard) {
      expect(actual, socket).toEqual(expected);
      expect(unnumbered(frames), socket).toEqual([]);
    }
  });

  it('is compared with every recording except those named with a reason', () => {
    const folder = new URL('../../fixtures/letta/', import.meta.url);
    const recorded = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
    const known = [...CASES.map(({ trace }) => trace), ...Object.keys(NOT_REPLAYED)].map((name) => `${name}.jsonl`);
    expect(known.sort()).toEqual(recorded.sort());
  });
});
