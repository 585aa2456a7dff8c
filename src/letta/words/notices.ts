/** What people hear when Letta does not do what the bridge asks. */
export const NOTICES = {
  wrongDirectory: 'The directory set for this channel does not exist on the Letta device, so I sent it nothing.',
  conversationGone: 'This thread’s conversation no longer exists at Letta. Write `!new` here to start a new one.',
  startRefused: 'Letta refused to start the conversation.',
  silent: 'Letta is not answering right now.',
  machineSilent: 'The agent’s machine is not answering right now.',
  linkLost: 'I lost the connection to Letta.',
  keyRejected: 'Letta rejects the API key of this bridge.',
  unreachable: 'I can’t reach Letta right now.',
  noAgent: 'Letta has no agent yet: create one and set LETTA_AGENT_ID to its id.',
  messageRefused: 'Letta refused the message.',
  agentRefused: 'Letta refused to find or create an agent for this bridge.',
  tokenRejected: 'The Letta server rejects the token of this bridge.',
  noAppServer: 'The address of the Letta server is not the address of an App Server.',
  serverUnreachable: 'I can’t reach the Letta server.',
  deviceUnreachable: 'I can’t reach the Letta device right now.',
  notLocal:
    'Letta Code runs on the machine without `--backend local`, so it has no agent for me. Start it again with that option.',
} as const;

export function deviceUnknownText(device: string): string {
  return `Letta no longer knows the device ${device}.`;
}

export function deviceOfflineText(device: string): string {
  return `Letta device ${device} is offline.`;
}

export function modeNotConfirmedText(mode: string): string {
  return `The Letta device did not confirm the permission mode ${mode}, so I sent it nothing.`;
}

export function requestRefusedText(status: number): string {
  return `Letta refused a request (HTTP ${status}).`;
}

/** @param error Letta's word for it */
export function modelRefusedText(error: string): string {
  return `Letta refused the model, so nothing changed: ${error.replace(/[`*_]/g, ' ').slice(0, 200)}`;
}

export const NO_DEVICE = 'No Letta device is online.';

/** @param online the names and ids of some devices; empty: none is online */
export function notOnlineText(device: string, online: string): string {
  return `Letta device ${device} is not online.${onlineText(online)}`;
}

/** @param called the name that several have; `null`: none was asked for */
export function severalDevicesText(called: string | null, online: string): string {
  const what = called === null ? 'are online' : `are called ${called}`;
  return `Several Letta devices ${what}: set LETTA_ENVIRONMENT to the id of one of them.${onlineText(online)}`;
}

function onlineText(online: string): string {
  return online === '' ? '' : ` Online: ${online}.`;
}

/** @param agents ids and names of some of them */
export function severalAgentsText(agents: string): string {
  return `Letta has several agents: set LETTA_AGENT_ID to one of ${agents}.`;
}

export function agentUnknownText(agentId: string): string {
  return `Letta does not know the agent ${agentId}: it was deleted, or LETTA_AGENT_ID is wrong.`;
}

/**
 * @param whose `channel`: an admin bound the channel to it; `setting`: LETTA_AGENT_ID names it
 * @param isOfCloud it looks like an agent of Letta's cloud, which a machine that dials the bridge cannot have
 */
export function agentGoneText(agentId: string, whose: keyof typeof GONE, isOfCloud = false): string {
  const { which, next } = GONE[whose];
  if (!isOfCloud) return `${which} (${agentId}) no longer exists.${next}`;
  return `${which} (${agentId}) is not on the device: it looks like an agent of Letta’s cloud, and machines that dial this bridge have only agents of their own.${next}`;
}

const GONE = {
  channel: {
    which: 'The agent of this channel',
    next: ' An admin can choose another one: `!agent` and its id, or `!agent default`.',
  },
  setting: {
    which: 'The agent that LETTA_AGENT_ID names',
    next: ' Ask the person who runs the bridge to set LETTA_AGENT_ID to another agent and restart it.',
  },
  thread: { which: 'The agent of this thread', next: '' },
} as const;
