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

/** The scene that plays by itself when the sandbox starts. */
export const WELCOME_SCENE = 'nightly-build';

/** The scenes that the page offers, in the order in which they tell the story. */
export const PAGE_SCENES: readonly PageScene[] = [
  scene(WELCOME_SCENE, 'First mention', 'A mention, a command that you approve, an answer, a change to a file.'),
  scene('report', 'Long answer', 'A long answer with a table and code grows as it is written.'),
  scene('write-diff', 'Approval with diff', 'The agent wants to write a file; the card shows what changes.'),
  scene('question', 'Question', 'The agent asks, with options as buttons. You can also answer in your own words.'),
  scene('queue', 'Queue', 'Messages wait while the agent works. Their authors can change them or take them back.'),
  scene('details', 'Details', 'What each tool did is behind Details, without secrets.'),
  scene('files', 'Files', 'A picture and a log beside a message: the agent gets both.'),
  scene('stop', 'Stop', 'A button stops the agent; what it said stays.'),
  scene('two-threads', 'Two threads at once', 'The agent works in both; neither waits for the other.'),
  scene('lost-connection', 'Lost connection', 'The sockets to Slack and to Letta break in the middle of an answer.'),
  scene(
    'crash',
    'Crash and recovery',
    'The bridge is killed in the middle of an answer, starts again, and catches up on the messages it missed.',
  ),
  scene(
    'catch-up',
    'Late messages',
    'What was written while the bridge was down: fresh messages run, old ones ask first.',
  ),
  scene('rate-limit-storm', 'Rate-limit storm', 'Slack refuses edits; the answers still arrive complete.'),
];
