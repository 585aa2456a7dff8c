import type { LogLine } from './bridge.ts';
import type { Scene } from './scene.ts';
import type { Kind, Story } from './story.ts';

/** A named point of a turn, and how to see that a story has reached it. */
export interface Step {
  name: string;
  kind: Kind;
  /**
   * Whether Letta may be running the turn at this step: on an App Server a turn dies with its socket
   * (docs/letta-protocol.md, Loss and restart).
   */
  mayLettaBeAtWork: boolean;
  /** Says the story's message and resolves, as early as it can be known, when the step is reached. */
  reachIn(story: Story, stage: Scene): Promise<boolean>;
  /** After the kill, before the restart. */
  afterKill?(stage: Scene): Promise<void>;
}

const WITHIN_MS = 30_000;

/** Waits for a line of the log that was not there before. */
function waitForLine(stage: Scene, msg: string, outcome?: string): () => Promise<boolean> {
  const from = stage.lines().length;
  const isIt = (line: LogLine) => line.msg === msg && (outcome === undefined || line.outcome === outcome);
  return () => stage.waitUntil(() => stage.lines().slice(from).some(isIt), WITHIN_MS);
}

async function sayAndWait(story: Story, wait: () => Promise<boolean>): Promise<boolean> {
  await story.sayIt();
  return wait();
}

async function clickAndWait(story: Story, stage: Scene, wait: () => Promise<boolean>): Promise<boolean> {
  await story.sayIt();
  if (!(await stage.waitUntil(() => story.withButton('bridge_approve').length > 0, WITHIN_MS))) return false;
  // Do not wait for the click's result: Letta may not have replayed yet, and a person would click again.
  void story.clickApprove();
  return wait();
}

const RECEIVED: Step = {
  name: 'received',
  kind: 'words',
  mayLettaBeAtWork: false,
  async reachIn(story) {
    await story.sayIt();
    return true;
  },
};

const STORED: Step = {
  name: 'stored',
  kind: 'words',
  mayLettaBeAtWork: false,
  async reachIn(story, stage) {
    const stored = waitForLine(stage, 'inbound event', 'accepted');
    const said = story.sayIt();
    // Slack's socket freezes after the envelopes, so that no ack arrives.
    await stage.slack.control.faults({ socket: 'freeze' });
    await said;
    return stored();
  },
  async afterKill(stage) {
    await stage.slack.control.faults({ socket: 'close' });
  },
};

const ACKED: Step = {
  name: 'acked',
  kind: 'words',
  mayLettaBeAtWork: false,
  reachIn: (story, stage) =>
    sayAndWait(story, () =>
      stage.waitUntil(() => stage.deliveriesOf(story.ts).some(({ outcome }) => outcome === 'acked'), WITHIN_MS),
    ),
};

export const SUBMITTED: Step = {
  name: 'submitted',
  kind: 'words',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) => sayAndWait(story, waitForLine(stage, 'sending input to Letta')),
};

const FIRST_DELTA: Step = {
  name: 'first-delta',
  kind: 'words',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) => sayAndWait(story, waitForLine(stage, 'the agent started its answer')),
};

/** Slack has the message; the store may not have its ts yet. */
const FIRST_POST: Step = {
  name: 'first-post',
  kind: 'words',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) =>
    sayAndWait(story, () => stage.waitUntil(() => story.shownMessages().length > 0, WITHIN_MS)),
};

export const MID_STREAM: Step = {
  name: 'mid-stream',
  kind: 'words',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) => sayAndWait(story, () => stage.waitUntil(() => story.words().length >= 8, WITHIN_MS)),
};

/** Slack has the stream; the store may not have its ts yet. */
const STREAM_BEGUN: Step = {
  name: 'stream-begun',
  kind: 'streamed',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) =>
    sayAndWait(story, () => stage.waitUntil(() => story.shownMessages().some(({ stream }) => stream), WITHIN_MS)),
};

const STREAM_GROWN: Step = {
  name: 'stream-grown',
  kind: 'streamed',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) => sayAndWait(story, () => stage.waitUntil(() => story.words().length >= 20, WITHIN_MS)),
};

const STREAM_ENDED: Step = {
  name: 'stream-ended',
  kind: 'streamed',
  mayLettaBeAtWork: false,
  reachIn: (story, stage) =>
    sayAndWait(story, () =>
      stage.waitUntil(() => story.shownMessages().some(({ stream }) => stream === 'completed'), WITHIN_MS),
    ),
};

const APPROVAL_SHOWN: Step = {
  name: 'approval-shown',
  kind: 'tool',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) =>
    sayAndWait(story, () => stage.waitUntil(() => story.withButton('bridge_approve').length > 0, WITHIN_MS)),
};

const APPROVAL_CLICKED: Step = {
  name: 'approval-clicked',
  kind: 'tool',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) => clickAndWait(story, stage, waitForLine(stage, 'approval decided')),
};

async function handOverAndWait(story: Story, stage: Scene, wait: () => Promise<boolean>): Promise<boolean> {
  await story.sayIt();
  if (!(await stage.waitUntil(() => story.withButton('bridge_approve').length > 0, WITHIN_MS))) return false;
  void story.handOver();
  return wait();
}

/** Somebody clicked Send now, which is on disk; Letta has nothing of it. */
const HANDED_OVER: Step = {
  name: 'handed-over',
  kind: 'steered',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) => handOverAndWait(story, stage, waitForLine(stage, 'messages handed to the running turn')),
};

/** The input for the running turn is on its way to Letta, or there. */
const STEERED: Step = {
  name: 'steered',
  kind: 'steered',
  mayLettaBeAtWork: true,
  reachIn: (story, stage) => handOverAndWait(story, stage, waitForLine(stage, 'sending messages to the running turn')),
};

const FINAL_EDIT: Step = {
  name: 'final-edit',
  kind: 'words',
  mayLettaBeAtWork: false,
  reachIn: (story, stage) => sayAndWait(story, () => stage.waitUntil(() => story.endings().length > 0, WITHIN_MS)),
};

export const BRIDGE_STEPS: readonly Step[] = [
  RECEIVED,
  STORED,
  ACKED,
  SUBMITTED,
  FIRST_DELTA,
  FIRST_POST,
  MID_STREAM,
  STREAM_BEGUN,
  STREAM_GROWN,
  STREAM_ENDED,
  APPROVAL_SHOWN,
  APPROVAL_CLICKED,
  HANDED_OVER,
  STEERED,
  FINAL_EDIT,
];

/** Groups of steps at which threads are when Letta is killed; in each group the shortest step comes last. */
export const LETTA_STEPS: readonly (readonly Step[])[] = [
  [APPROVAL_SHOWN, MID_STREAM, STREAM_GROWN, FIRST_DELTA],
  [APPROVAL_CLICKED, SUBMITTED],
  [FINAL_EDIT, ACKED],
];

/** Steps that threads stand at when Letta is stopped for a while. */
export const FROZEN_STEPS: readonly Step[] = [MID_STREAM, SUBMITTED];
