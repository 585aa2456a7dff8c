/** Slack's own file hosts, also of an organisation and of Slack for governments (docs/slack.md, Files). */
const FILE_HOST = /^(?:files(?:-[a-z0-9]+)?|[a-z0-9][a-z0-9-]*\.enterprise)\.slack(?:-gov)?\.com$/;

/**
 * Whether a file may be fetched from this address with the bot's token: only Slack's hosts ever get it. A test Slack serves
 * files on the host of its Web API.
 * @param api base of the Web API
 */
export function isFileAddress(address: string, api: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, host, hostname, port, username, password } = new URL(address);
  if (username !== '' || password !== '') return false;
  const own = new URL(api);
  if (protocol === own.protocol && host === own.host) return true;
  return protocol === 'https:' && port === '' && FILE_HOST.test(hostname);
}
