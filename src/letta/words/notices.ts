/** What people hear when Letta does not do what the bridge asks. */
export const NOTICES = {
  noDevices: 'This bridge uses one Letta server, so there is no device to name. Leave `on …` out.',
  wrongDirectory: 'The directory set for this channel does not exist on the Letta device, so I sent it nothing.',
  conversationGone: 'This thread’s conversation no longer exists at Letta. Write `!new` here to start a new one.',
  startRefused: 'Letta refused to start the conversation.',
  silent: 'Letta is not answering right now.',
  modelsUnknown: 'Letta can’t tell right now which models are available. Try again in a moment.',
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

/** @param isOfCloud its id is of Letta's cloud, and here are only machines with agents of their own */
export function conversationUnknownText(conversationId: string, isOfCloud: boolean): string {
  if (isOfCloud)
    return `Conversation ${conversationId} looks like one of Letta’s cloud, and machines that dial this bridge have only conversations of their own. Write the id of one of those: it begins with local-conv-.`;
  return `Letta has no conversation ${conversationId} there. Check the id, and that it is on the machine that this channel uses.`;
}

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

/** @param error Letta's word for it */
export function toolsetRefusedText(error: string): string {
  return `Letta refused the toolset, so nothing changed: ${error.replace(/[`*_]/g, ' ').slice(0, 200)}`;
}

/** @param model as an admin chose it for the channel: foreign text */
export function modelGoneText({ handle, effort }: { handle: string; effort: string | null }): string {
  const name = [handle, ...(effort === null ? [] : [effort])]
    .join(' ')
    .replace(/[`*_\n]/g, ' ')
    .slice(0, 120);
  return `The model chosen for this channel (${name}) can’t be used now, so this conversation uses the agent’s own. An admin can choose another one with \`!model\`.`;
}

/** @param toolset as an admin chose it for the channel: foreign text */
export function toolsetUntakenText(toolset: string): string {
  return `This conversation has the agent’s usual tools: Letta did not take the toolset chosen for this channel (${toolset.replace(/[`*_\n]/g, ' ').slice(0, 40)}).`;
}

/** @param error Letta's word for it */
export function compactRefusedText(error: string): string {
  return `Letta did not summarise the earlier messages: ${error.replace(/[`*_]/g, ' ').slice(0, 200)}`;
}

export function forkRefusedText(error: string): string {
  return `Letta did not copy the conversation: ${error.replace(/[`*_]/g, ' ').slice(0, 200)}`;
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
