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
  scene('first-mention', 'First mention', 'A mention, a streamed answer, an approved tool, a reply.'),
  scene('report', 'Long answer', 'A long answer with a table and code grows as it is written.'),
  scene('write-diff', 'Approval with diff', 'The agent wants to write a file; the card shows what changes.'),
  scene('question', 'Question', 'The agent asks, with options as buttons. You can also answer in your own words.'),
  scene('stop', 'Stop', 'A button stops the agent; what it said stays.'),
  scene('two-threads', 'Two threads at once', 'The agent works in both; neither waits for the other.'),
  scene('lost-connection', 'Lost connection', 'The sockets to Slack and to Letta break in the middle of an answer.'),
  scene(
    'crash',
    'Crash and recovery',
    'The bridge is killed in the middle of an answer, starts again, and catches up on the messages it missed.',
  ),
  scene('rate-limit-storm', 'Rate-limit storm', 'Slack refuses edits; the answers still arrive complete.'),
];
