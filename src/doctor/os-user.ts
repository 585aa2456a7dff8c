import { readFileSync } from 'node:fs';

/** `LISTEN` in the fourth column of /proc/net/tcp. */
const LISTENING = '0A';

/** User ids of the processes that listen on that port, from the text of /proc/net/tcp or tcp6 (proc_net(5)). */
export function listenersOf(table: string, port: number): number[] {
  const rows = table.split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , uid] = row.trim().split(/\s+/);
    const at = Number.parseInt(local.split(':')[1] ?? '', 16);
    return state === LISTENING && at === port ? [Number(uid)] : [];
  });
}

/** The name of a user id, from the text of /etc/passwd. */
export function nameOf(passwd: string, uid: number): string {
  const row = passwd.split('\n').find((each) => each.split(':')[2] === String(uid));
  return row?.split(':')[0] ?? String(uid);
}

/** The user as whom the server on that local port runs; `null` where the system does not say (only Linux does). */
export function userOfPort(port: number): string | null {
  const [first] = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => listenersOf(readIfPresent(path), port));
  return first === undefined ? null : nameOf(readIfPresent('/etc/passwd'), first);
}

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
