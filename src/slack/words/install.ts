/** What people read in the browser when they install the app. `title` is the page's heading, too. */
export interface InstallWords {
  title: string;
  /** What happened, what it means, what to do: one paragraph each. */
  says: readonly string[];
  /** The text of the link that leads on; left out: there is none. */
  link?: string;
}

export const INSTALL = {
  start: {
    title: 'Install the agent in Slack',
    says: [
      'Slack asks you for your consent next. You need the right to install apps in your workspace.',
      'In channels and direct messages where it takes part, the agent reads what people write. What its operator allows decides who may use it there.',
    ],
    link: 'Add to Slack',
  },
  scopes: 'What it asks for:',
  done: {
    title: 'The agent is installed',
    says: ['Invite it to a channel and mention it there, or write to it directly.'],
    link: 'Open Slack',
  },
  doneForAll: {
    title: 'The agent is installed for your organisation',
    says: ['It is in no workspace yet: add it to the workspaces where people should use it.'],
    link: 'Choose workspaces',
  },
  denied: {
    title: 'You did not allow it',
    says: ['Nothing was installed. You can start again at any time.'],
    link: 'Start again',
  },
  stale: {
    title: 'This page is too old',
    says: [
      'Nothing was installed. The link was used before, is older than ten minutes, or was opened in another browser.',
      'Start again in this browser. It must accept cookies of this site.',
    ],
    link: 'Start again',
  },
  codeRefused: {
    title: 'Slack did not accept this installation',
    says: ['Nothing was installed: Slack’s answer can be used only once and for ten minutes.'],
    link: 'Start again',
  },
  notAllowed: {
    title: 'This workspace may not use the agent',
    says: [
      'The app was removed again. Its operator decides which workspaces may install it.',
      'Ask the operator to allow your workspace:',
    ],
  },
  isConfigured: {
    title: 'The agent already serves this workspace',
    says: [
      'Its operator set it up here with a token of its own, which stays in use. Nothing was changed.',
      'To use this installation instead, the operator removes SLACK_BOT_TOKEN from the settings; then install the app again.',
    ],
  },
  wrongSettings: {
    title: 'The agent cannot be installed now',
    says: ['Slack does not know this app as the bridge describes it. Nothing was installed.', 'Tell its operator:'],
  },
  slackRefused: {
    title: 'Slack refused the installation',
    says: ['Nothing was installed. Slack said:'],
    link: 'Start again',
  },
  notStored: {
    title: 'The installation could not be stored',
    says: ['Slack has installed the app, but the agent’s store does not work now. Try again in a minute.'],
    link: 'Try again',
  },
  slackAway: {
    title: 'Slack does not answer',
    says: ['It is not known whether the app was installed. Try again in a minute; that does no harm.'],
    link: 'Try again',
  },
  busy: {
    title: 'Too many installations at once',
    says: ['Nothing was installed. Try again in a minute.'],
    link: 'Try again',
  },
} as const satisfies Record<string, InstallWords | string>;
