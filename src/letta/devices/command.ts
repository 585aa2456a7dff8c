/** What to run on a machine so that it dials the bridge. */
export interface DeviceCommand {
  /** The address of the bridge, `LETTA_LISTEN_URL`. */
  url: string;
  /** The token, or words that say where it is. */
  token: string;
  /** `--computer-name` */
  name: string;
}

/**
 * The command for a shell. `IGNORE_SELF_HOSTED_LISTENER_ERROR` lets Letta Code register elsewhere than in Letta's cloud,
 * `--backend local` lets its agents live on the machine (docs/letta-protocol.md, A device that dials us).
 */
export function deviceCommand({ url, token, name }: DeviceCommand): string {
  const settings = { LETTA_BASE_URL: url, LETTA_API_KEY: token, IGNORE_SELF_HOSTED_LISTENER_ERROR: '1' };
  const assigned = Object.entries(settings).map(([key, value]) => `${key}=${quote(value)}`);
  return `${assigned.join(' ')} letta server --backend local --computer-name ${quote(name)}`;
}

/** As a shell reads one word. */
function quote(word: string): string {
  return /^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
