import type { Ending } from '../../bridge/record/thread-record.ts';
import { mention } from './blocks.ts';
import { neutralizeMrkdwn } from './neutralize.ts';

/**
 * How a turn ended, in one line; empty when it ended well and figures are not wanted. `mentioned` is mrkdwn with a
 * mention; `words` is plain.
 */
export function summaryLine(ending: Ending, wish: { figures: boolean }): { mentioned: string; words: string } {
  const figures = wish.figures ? figuresOf(ending) : [];
  const joined = (by: string, harmless: (text: string) => string) =>
    [...outcomeWords(ending, by, harmless), ...figures].join(' · ');
  return {
    mentioned: joined(ending.by === null ? '' : mention(ending.by), neutralizeMrkdwn),
    words: joined('', (text) => text),
  };
}

/** A turn without tools that took less has no figures, because they would say nothing. */
const WORTH_FIGURES_MS = 10_000;

function figuresOf({ thoughts = 0, tools, durationMs }: Ending): string[] {
  if (tools === 0 && thoughts === 0 && durationMs < WORTH_FIGURES_MS) return [];
  return [
    ...(thoughts > 0 ? [counted(thoughts, 'thought')] : []),
    ...(tools > 0 ? [counted(tools, 'tool')] : []),
    durationWords(durationMs),
  ];
}

function counted(count: number, thing: string): string {
  return `${count} ${count === 1 ? thing : `${thing}s`}`;
}

function outcomeWords({ outcome, line }: Ending, by: string, harmless: (text: string) => string): string[] {
  const said = line === null ? [] : [harmless(line)];
  switch (outcome) {
    case 'done':
      return said;
    case 'stopped':
      return [by === '' ? '⛔ Stopped' : `⛔ Stopped by ${by}`, ...said];
    case 'failed':
      return [`⚠️ ${said[0] ?? 'Failed'}`];
    case 'interrupted':
      return [said[0] === undefined ? '⚠️ Interrupted' : `⚠️ Interrupted: ${said[0]}`];
    default:
      return outcome satisfies never;
  }
}

/** `850 ms`, `42 s`, `3 min 5 s`, `2 h 4 min`. */
export function durationWords(ms: number): string {
  const safe = Number.isFinite(ms) ? Math.max(0, ms) : 0;
  if (safe < 1_000) return `${Math.round(safe)} ms`;
  const seconds = Math.round(safe / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  if (minutes < 60) return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
  const [hours, left] = [Math.floor(minutes / 60), minutes % 60];
  return left === 0 ? `${hours} h` : `${hours} h ${left} min`;
}
