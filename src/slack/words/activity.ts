import type { Activity } from '../../bridge/view/turn.ts';

/** What the agent is doing, in the words of each place where people read it. Foreign text in them is not neutralised. */
export interface ActivityWords {
  /** The line below the text of a live message. */
  line: string;
  /**
   * `text` of a live message that has nothing to read yet: what a phone shows, and a screen reader says; `null`: it says
   * what is answered.
   */
  notification: string | null;
  /** Slack's line below the thread, after the bot's name. No foreign text, because Slack does not say how it reads it. */
  status: string;
}

const THINKING = 'is thinking…';

/**
 * The words for every activity; nothing else says what the agent is doing.
 * @param who the name of the person whose decision it waits for, if it is known
 */
export function activityWords(activity: Activity, who?: string): ActivityWords {
  switch (activity.kind) {
    case 'starting': {
      const { place } = activity;
      if (place === undefined) return { line: '⏳ Starting…', notification: null, status: THINKING };
      return {
        line: `⏳ Waiting to start: position ${place}`,
        notification: `Waiting to start: position ${place}`,
        status: `is waiting to start, position ${place}…`,
      };
    }
    case 'waiting_for_letta': {
      const { device, notice } = activity;
      const who = device ?? 'Letta';
      const isOffline = device !== undefined;
      return {
        line: `⏳ Waiting for ${who}: ${notice}`,
        notification: isOffline ? `Waiting for ${who}, which is offline` : `Waiting for ${who}: ${notice}`,
        status: 'is waiting for Letta…',
      };
    }
    case 'thinking':
      return { line: '⏳ Thinking…', notification: null, status: THINKING };
    case 'writing':
      return { line: '⏳ Writing…', notification: null, status: THINKING };
    case 'tool': {
      const { tool, detail } = activity;
      const own = OWN_TOOLS[tool]?.(detail);
      if (own !== undefined) return { line: `🔧 ${own}`, notification: own, status: 'is using Slack…' };
      const isCommand = COMMANDS.has(tool.toLowerCase());
      const what = detail === '' ? tool : `${tool}: ${detail}`;
      return {
        line: `🔧 ${what}`,
        notification: isCommand && detail !== '' ? `Running: ${detail}` : `Using ${what}`,
        status: isCommand ? 'is running a command…' : 'is using a tool…',
      };
    }
    case 'looking': {
      const { steps, detail } = activity;
      const what = `Looking around: ${steps} steps${detail === '' ? '' : ` · ${detail}`}`;
      return { line: `🔧 ${what}`, notification: what, status: 'is looking around…' };
    }
    case 'waiting_for_people': {
      return {
        line: `⏳ Waiting for ${who === undefined ? 'an answer' : `@${who}`}`,
        notification: `Waiting for ${who === undefined ? 'a decision' : `@${who}’s decision`}`,
        status: 'is waiting for a decision…',
      };
    }
    case 'retrying': {
      const what = `The model failed; trying again (${activity.attempt} of ${activity.maxAttempts})`;
      return { line: `⏳ ${what}`, notification: what, status: 'is trying again…' };
    }
    case 'stopping':
      return { line: '⛔ Stopping…', notification: 'Stopping', status: 'is stopping…' };
    case 'paused':
      return {
        line: '⏳ Paused while the bridge restarts',
        notification: 'Paused while the bridge restarts',
        status: THINKING,
      };
    default:
      return activity satisfies never;
  }
}

/** What a live message says of the question that it answers: `text`, until there is an answer to read. */
export function answeringWords(answers: string | undefined): string {
  if (answers === undefined) return 'The agent started working by itself';
  return answers === '' ? 'Answering your message' : `Answering: “${answers}”`;
}

/** What the agent does with a tool of the bridge. @param detail the first words of its input: data */
const OWN_TOOLS: Readonly<Record<string, ((detail: string) => string) | undefined>> = Object.assign(
  Object.create(null),
  {
    slack_upload_file: (detail: string) => `Uploading ${/[^/\\]*$/.exec(detail)?.[0] ?? ''}`.trim(),
    slack_react: (detail: string) => `Reacting with :${detail.replaceAll(':', '')}:`,
    slack_read_thread: () => 'Reading the thread',
    slack_read_file: () => 'Reading a file of the thread',
    slack_find_people: (detail: string) => `Looking for ${detail}`,
    slack_post_message: (detail: string) => `Posting in ${detail}`,
    slack_read_channel: (detail: string) => `Reading ${detail}`,
    slack_schedule: (detail: string) => `Proposing a schedule: ${detail}`,
    slack_schedules: () => 'Listing schedules',
    slack_unschedule: () => 'Deleting a schedule',
  },
);

/** Tools whose detail is the command that they run. Names as in the toolsets of Letta Code. */
const COMMANDS = new Set(['bash', 'exec_command', 'shell', 'shell_command', 'shellcommand', 'run_shell_command']);
