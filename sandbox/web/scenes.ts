import { readFileSync } from 'node:fs';
import { parseScene, type Scene } from '../scene.ts';
import type { SceneInfo } from './wire.ts';

export interface PageScene extends SceneInfo {
  readScene(): Scene;
}

function scene(id: string, title: string, about: string): PageScene {
  const file = new URL(`../scenes/${id}.yml`, import.meta.url);
  return { id, title, about, readScene: () => parseScene(readFileSync(file, 'utf8')) };
}

/** The scenes that the page offers, in the order in which they tell the story. */
export const PAGE_SCENES: readonly PageScene[] = [
  scene('first-mention', 'First mention', 'A mention, a streamed answer, a tool that is approved, a reply.'),
  scene('report', 'Long answer', 'A long answer with a table and code grows as it is written.'),
  scene('write-diff', 'Approval with diff', 'The agent wants to write a file; the card shows what changes.'),
  scene('question', 'Question', 'The agent asks, with options as buttons; other words are welcome.'),
  scene('stop', 'Stop', 'Stopped by button: what was said stays.'),
  scene('two-threads', 'Two threads at once', 'Neither waits for the other.'),
  scene('lost-connection', 'Lost connection', 'The socket to Slack and the one to Letta break in mid-answer.'),
  scene(
    'crash',
    'Crash and recovery',
    'The bridge is killed in mid-answer, starts again, and catches up with what was said meanwhile.',
  ),
  scene('rate-limit-storm', 'Rate-limit storm', 'Slack refuses edits; the answers still arrive whole.'),
];
