/** What a person at a machine reads when the bridge refuses it: Letta Code prints it and ends, or tries again. */
export const REFUSALS = {
  unknownToken:
    'This bridge does not know the token in LETTA_API_KEY. Set it to the value of LETTA_LISTEN_TOKEN of the bridge, or to this machine’s line in its LETTA_LISTEN_TOKENS.',
  tooOften: 'This device registers too often. Is Letta Code running twice on this machine?',
  tooMany: 'Too many devices are connected to this bridge.',
  tooLarge: 'The registration is too large.',
  notLocal:
    'This bridge has no agents of its own, and agents of Letta’s cloud cannot be used through it. Start Letta Code with --backend local.',
  notFound: 'The bridge has nothing at this address. Set LETTA_BASE_URL to the value of its LETTA_LISTEN_URL.',
  noLease: 'The bridge does not know this connection. Start Letta Code again.',
  stopping: 'The bridge is stopping.',
  elsewhere: 'Another process of this bridge takes the devices now. Letta Code tries again by itself.',
  noRegistration:
    'This is not how Letta Code registers a device. Start it with: letta server --backend local --computer-name NAME',
} as const;

/**
 * Whether Letta Code passes on that this bridge has no agents: without `--backend local` it asks `LETTA_BASE_URL` for
 * them (docs/letta-protocol.md, A device that dials us).
 */
export function isNotLocal(error: string): boolean {
  return error.includes(REFUSALS.notLocal);
}

export function otherNameText(name: string): string {
  return `This token is for the machine named ${name}. Start Letta Code with --computer-name ${name}`;
}

/** @param version of Letta Code; `null`: not told */
export function oldProtocolText(version: string | null, wanted: string): string {
  const which = version === null ? 'This version of Letta Code' : `Letta Code ${version}`;
  return `${which} does not speak the protocol of this bridge (${wanted}). Update it: npm install --global @letta-ai/letta-code`;
}
