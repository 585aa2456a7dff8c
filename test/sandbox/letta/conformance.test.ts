import { describe, expect, it } from 'vitest';
import { type ReplayOptions, replay } from './replay.ts';
import { readTrace } from './trace.ts';

interface Case extends ReplayOptions {
  readonly trace: string;
}

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
  { trace: '11-parallel-approvals' },
  { trace: '12-ask-user-question' },
  { trace: '12b-question-unrestricted' },
  { trace: '13-abort-midstream', hideText: true },
  { trace: '13b-abort-before-first-token' },
  { trace: '13c-abort-running-tool' },
  { trace: '14-abort-approval-pending' },
  { trace: '15-queue', scale: 0.3 },
  { trace: '15b-queue-while-approval' },
  { trace: '15c-queue-remove-abort', hideText: true, scale: 0.3 },
  { trace: '16-duplicate-client-message-id', scale: 0.3 },
  { trace: '17-model-error' },
  { trace: '17b-model-error-500' },
  { trace: '18-unknown-ids' },
  { trace: '19-malformed' },
  { trace: '20-disconnect-midturn', hideText: true },
  { trace: '20b-reconnect-fast-midturn', hideText: true, scale: 0.1 },
  { trace: '21-disconnect-approval' },
  { trace: '22-two-clients' },
  { trace: '23-sync', scale: 0.3 },
  { trace: '24-change-mode' },
  { trace: '24b-mode-omitted' },
  { trace: '25-image' },
  { trace: '27-markdown' },
  { trace: '28-management' },
  { trace: '29-turn-options' },
  { trace: '30-two-conversations' },
  { trace: '31-subagent' },
  { trace: '32-background-task' },
  { trace: '33-external-tool' },
  { trace: '34a-restart-tool-approval-pending' },
  { trace: '34b-restart-question-pending' },
  { trace: '34c-restart-midturn', hideText: true },
  { trace: '34d-restart-tool-running' },
  { trace: '34e-mode-after-restart' },
  { trace: '37-slash-command' },
  { trace: 'h01-single-socket-sync' },
  { trace: 'h02-pair-runtime-start' },
  { trace: 'h03-approval' },
  { trace: 'h04-abort', hideText: true },
  { trace: 'h05-device-restart', hideText: true },
  { trace: 'h06-device-transport-loss', hideText: true },
  { trace: 'h06b-device-transport-loss-1s', hideText: true },
  { trace: 'h07-client-transport-loss', hideText: true },
  { trace: 'h08-two-runtimes-event-seq' },
  { trace: 'h10-redelivery' },
  { trace: 'h11-approval-client-reconnect' },
  { trace: 'h12-approval-device-restart' },
  { trace: 'h13-device-lease-expires', hideText: true },
  { trace: 'h14-messages-post' },
];

describe('the scripted Letta says what the real one said', () => {
  it.for(CASES)('in $trace', { timeout: 20_000 }, async ({ trace, ...options }) => {
    for (const { socket, expected, actual } of await replay(readTrace(trace), options)) {
      expect(actual, socket).toEqual(expected);
    }
  });
});
