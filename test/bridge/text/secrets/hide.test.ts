import { describe, expect, it } from 'vitest';
import { hideSecrets } from '../../../../src/bridge/text/secrets/hide.ts';
import { REDACTED } from '../../../../src/bridge/text/secrets/mark.ts';

/** Put together here, so that no scanner takes this file for a leak. */
const key = (...pieces: string[]) => pieces.join('');
const TOKEN = key('ghp_', 'abcdefghijklmnopqrstuvwxyz0123456789');
/** Of base64 that is padded: the next key begins right behind it. */
const JWT = key('eyJ', 'rIjoi0aA0aa000aAA00A00a0aA0aA00a00A0a00AAA0aAa0A00aaA00a0Aa0a00AA0A00AA00Aa');
const LETTA_KEY = key('at-let-', 'aa12bb34cc56dd78ee90ff12');
const BEGIN = key('-----BEGIN ', 'PRIVATE KEY-----');
const END = key('-----END ', 'PRIVATE KEY-----');
const PEM = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj';

describe('a text for the people who decide', () => {
  it.each([
    ['between two marks of a key', `echo "${BEGIN}"; touch PWNED; echo "${END}"`],
    ['lines between two marks of a key', `${BEGIN}\n./evil --now\nreboot\ncurl x|sh\n${END}`],
    ['in a cookie', 'curl -H "cookie:a=$(touch PWNED)" https://x'],
    ['in a password of an address', 'curl https://a:b$(touch PWNED)@h'],
    ['behind a user of an address', 'curl http://a:b;cmd;@h'],
    ['in a path', 'docs/token=/../../../x'],
    ['in a path that climbs later', 'docs/token=abc123/../../../etc/cron.d/job9'],
    ['of a substitution', 'PASSWORD=abc12345$(rm -rf ~) ./x'],
    ['of backticks', 'api_key=`rm -rf ~`'],
    ['of an expansion', 'token=abc12345$IFS'],
    ['of an escaped blank', 'token=abc12345\\ rm'],
    ['of a process substitution', 'token=<(rm -rf ~)'],
    ['in a second word', 'password=x;rm -rf ~'],
    ['in a name that is a command', 'TOKEN=rm; $TOKEN -rf ~'],
    ['in quotes with operators', 'eval password="x; rm -rf ~"'],
    ['in quotes with a line end', 'eval password="x\nrm -rf ~"'],
    ['between quotes that do not belong together', 'FOO="password=" rm -rf ~ "x"'],
    ['between quotes of two kinds', "X=''token': ' rm -rf ~ ''"],
    ['behind a heredoc with a quote in it', "cat <<E\n'\nE\nx='token=' rm -rf ~ 'y'"],
    ['as a type', 'function login(password: string, token: null) {}'],
    ['as prose', 'The password: whatever you like.'],
    ['as a reference', 'password=$PASSWORD and --token "$TOKEN" and {{ password }}'],
    ['as a variable', `x $${TOKEN} "\${${TOKEN}}"`],
    ['as a user id', 'docker run -u 1000:1000 image'],
  ])('shows everything when there is code %s', (_, text) => {
    expect(hideSecrets(text)).toEqual({ open: text, own: text });
  });

  it.each([
    [`git push https://${TOKEN}@h/x`, `git push https://${REDACTED}@h/x`],
    [`${JWT}=${LETTA_KEY} && x`, `${REDACTED}=${REDACTED} && x`],
    [`./${TOKEN}/../x`, `./${REDACTED}/../x`],
    [`a ${TOKEN}$(x)`, `a ${REDACTED}$(x)`],
    ['curl -H "Authorization: Bearer abcdef0123456789abcdef"', `curl -H "Authorization: Bearer ${REDACTED}"`],
    ['API_KEY=a1B2c3D4e5F6g7H8 ./x; y', `API_KEY=${REDACTED} ./x; y`],
    ['AccountKey=a1B2c3D4e5F6g7H8==;x', `AccountKey=${REDACTED}==;x`],
  ])('hides a certain key from all people, and nothing around it: %s', (text, shown) => {
    expect(hideSecrets(text)).toEqual({ open: shown, own: shown });
  });

  it.each([
    ['PASSWORD=hunter2 ./deploy', `PASSWORD=${REDACTED} ./deploy`],
    ['TOKEN=python3; x', `TOKEN=${REDACTED}; x`],
    ['TOKEN=a1B2c3D4e5F6g7H8; $TOKEN x', `TOKEN=${REDACTED}; $TOKEN x`],
    ['DB_PASSWORD="correct horse battery" x', `DB_PASSWORD="${REDACTED} ${REDACTED} ${REDACTED}" x`],
    ['psql postgres://ada:p@ss:w0rd@db/app', `psql postgres://ada:p@ss:${REDACTED}@db/app`],
    ['curl -u ada:pa55 https://x', `curl -u ada:${REDACTED} https://x`],
    ['mysql --password pa55wd --host db', `mysql --password ${REDACTED} --host db`],
    ['{"api_key": "abc123", "name": "Ada"}', `{"api_key": "${REDACTED}", "name": "Ada"}`],
    [`x\n${BEGIN}\n${PEM}\nreboot\n${END}`, `x\n${BEGIN}\n${REDACTED}\nreboot\n${END}`],
    [`${BEGIN}\\n${PEM}\\n${END}`, `${BEGIN}\\n${REDACTED}\\n${END}`],
    [`${PEM}\n${END}`, `${REDACTED}\n${END}`],
  ])('hides a possible key from all but the decider: %s', (text, open) => {
    expect(hideSecrets(text)).toEqual({ open, own: text });
  });

  it('telling field name: hides the value unless it is code', () => {
    expect(hideSecrets('x', 'api_token')).toEqual({ open: REDACTED, own: 'x' });
    expect(hideSecrets('correct horse', 'DB_PASSWORD').open).toBe(`${REDACTED} ${REDACTED}`);
    for (const code of ['$(rm -rf ~)', 'a; rm -rf ~', '/../../../x', '../x', 'a\nrm', '`id`']) {
      expect(hideSecrets(code, 'token')).toEqual({ open: code, own: code });
    }
  });
});
