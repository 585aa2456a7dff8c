import { asCode } from '../text/as-code.ts';
import { plainName } from '../text/plain-name.ts';

/** What a command about a thread is answered with. */
export const THREAD = {
  nothingRuns: 'Nothing is running here.',
  stopping: 'Stopping.',
  isWorking: 'I’m working here. Write `!stop` first.',
  nextStartsNew: 'The next message here starts a new conversation.',
  noConversation: 'There is no conversation here yet.',
  noMuteInDirect: 'You can’t mute me in direct messages.',
  muted: 'Muted: here I answer only messages that mention me. To unmute me, write `!unmute` or mention me here.',
  unmuted: 'Unmuted: I answer replies here again.',
  settingsAtStart: 'The conversation here will start with these settings.',
  settingsAfterTurn: 'Here it applies when the running turn has ended.',
  settingsSoon: 'I’ll say so in the thread when Letta has confirmed it.',
} as const;

/** @param tasks as `describeTasks()` says them */
export function endingTasksText(tasks: string): string {
  return `I’m ending the background tasks: ${tasks}. I’ll tell you if something keeps running.`;
}
export function tasksRunText(tasks: string): string {
  return `Still running in the background: ${tasks}. Write \`!stop\` first.`;
}
/** @param device its name, foreign text; `null`: not known */
export function tasksKeepRunningText(by: string, tasks: string, device: string | null): string {
  const where = device === null ? 'the agent’s machine' : asCode(device);
  return `<@${by}>, I could not stop this, so it keeps running: ${tasks}. You can’t end it from Slack: end it on ${where}, or wait until it is done.`;
}

const DEEDS = {
  new: 'started a new conversation',
  mute: 'muted the agent: it answers only mentions',
  unmute: 'unmuted the agent',
} as const;

/** Says in the thread what a person did that changes it for everyone. The name is no mention, so it notifies no one. */
export function saidAloudText(name: string, deed: keyof typeof DEEDS): string {
  return `— ${plainName(name) || 'Someone'} ${DEEDS[deed]} —`;
}

/** @param messages lines of Markdown */
export function discardedText(messages: readonly string[]): string {
  return ['Stopped. I discarded these queued messages:', ...messages].join('\n');
}

export function settingsChangedText(by: string, permissions: string, workingDirectory: string | null): string {
  const where = workingDirectory === null ? '' : `, directory ${asCode(workingDirectory)}`;
  return `<@${by}> changed the permissions here to ${permissions}${where}. Letta has confirmed it.`;
}

export function agentReplacedText(gone: string, agentId: string): string {
  return `The agent that answered new threads so far (${asCode(gone)}) no longer exists. From now on ${asCode(agentId)} answers them; it does not know the earlier conversations.`;
}

/** What the live message of a turn says while the bridge waits for something. */
export const WAITS = {
  inDoubt: 'I can’t tell yet whether your message arrived; I’m asking again.',
  queued: 'Your message has arrived; what was stopped before it has not ended yet.',
  reconnects: 'The connection was lost; I’m reconnecting.',
  elsewhere: 'I’m busy in another thread of this conversation; I’ll begin here when that is done.',
  kept: 'The conversation that this belongs to runs on a schedule in its own thread, so it can’t go on here.',
  forSlack: 'Slack can’t tell me right now who wrote this, so it waits.',
} as const;

/** @param limit in words, for example "10 min" */
export function silentText(limit: string): string {
  return `the agent has been silent for ${limit}; I’m checking whether it still works`;
}

/** @param notice why its author may no longer use the agent */
export function queuedNotRunText(notice: string): string {
  return `I won’t run your queued message. ${notice}`;
}

/** Above a turn that was not heard to end: Letta's history keeps a text that was cut off like one that is whole. */
export const FROM_HISTORY = 'I read this in Letta’s history, which may lack the end.';

/** How a turn ended that did not answer, for its last line. */
export const ENDED = {
  deleted: 'the message was deleted before the agent got it',
  unreached: 'I could not reach Letta for a long time, so I did not run this.',
  mayNoLonger: 'not run: its author may no longer use the agent',
  lostAsking: 'The agent’s request was lost with the connection to Letta, and nothing of it ran.',
  lostLink: 'I lost the connection to Letta.',
  unheard: 'I did not hear how this ended, so it may be incomplete.',
  wentOnWithOurs: 'A message from this thread joined it: the rest is in the answer above.',
  goesOn: 'I’ll go on by myself.',
  wentOn: 'I’m going on by myself, because the connection to Letta was lost.',
} as const;

export const NO_DETAILS_LEFT = 'I no longer have the details of this turn.';

/** @param files what is wrong with each, at least one */
export function filesUnreadText(files: readonly string[]): string {
  const what = files.length === 1 ? 'the file that you sent' : 'any of the files that you sent';
  const listed = `${files.slice(0, 3).join(' · ')}${files.length > 3 ? ' …' : ''}`;
  return `I could not read ${what} (${listed}), so I asked the agent nothing. Tell me in words what you need.`;
}
