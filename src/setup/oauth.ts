import { commandName } from '../command-name.ts';
import * as shapes from '../config/checks.ts';
import { refusalOfClient } from '../doctor/oauth.ts';
import { createAppLink, manifestFor } from '../manifest/manifest.ts';
import { line } from '../printable.ts';
import type { SlackApi } from '../slack/api/slack-api.ts';
import { INSTALL_PATH, REDIRECT_PATH } from '../slack/installations/installer.ts';
import type { Directory } from '../slack/people/directory.ts';
import { checkShape, keepOrAsk } from './answers.ts';
import type { SetupParts } from './parts.ts';
import { askUntil } from './questions.ts';

const PORT = '3000';

/** Whether people in several workspaces are to install the app: asked for, or set already. */
export function wantsOAuth({ files, isForSeveral }: SetupParts): boolean {
  const { SLACK_CLIENT_ID, SLACK_CLIENT_SECRET } = files.readEnv();
  return isForSeveral || Boolean(SLACK_CLIENT_ID || SLACK_CLIENT_SECRET);
}

/**
 * Sets up the app that people install in their workspaces (docs/workspaces.md): address, client, key, and who may.
 * @param api the Web API without a token
 */
export async function setUpOAuth(parts: SetupParts, api: SlackApi): Promise<void> {
  const { terminal, files, manifest } = parts;
  const isNew = !files.readEnv().SLACK_CLIENT_ID;
  const redirectUrl = await askForAddress(parts);
  if (isNew) {
    const name = manifest.display_information.name;
    const oauth = redirectUrl.slice(0, -REDIRECT_PATH.length);
    await askUntil(terminal, { text: 'Name of the app', fallback: name }, (answer) => {
      try {
        const named = manifestFor(manifest, { name: answer, url: null, oauth, agent: false, prompts: [] });
        terminal.say(`Open this link, choose your workspace, and click Create:\n\n  ${createAppLink(named)}\n`);
        return { value: true };
      } catch (error) {
        return { problem: error instanceof Error ? error.message : String(error) };
      }
    });
    terminal.say('Then let other workspaces install it: Manage Distribution, Activate Public Distribution.');
  }
  const clientId = await keepOrAsk(
    parts,
    'SLACK_CLIENT_ID',
    { text: 'Client ID (under Basic Information, App Credentials):' },
    async (answer) => checkShape(shapes.clientIdShape, answer),
  );
  await keepOrAsk(
    parts,
    'SLACK_CLIENT_SECRET',
    { text: 'Client Secret (in the same place; not shown as you type):', secret: true },
    async (answer) => {
      const shape = checkShape(shapes.clientSecretShape, answer);
      if ('problem' in shape) return shape;
      const refusal = await refusalOfClient(api, { clientId, clientSecret: answer, redirectUrl });
      if (refusal === null) return { value: true };
      return { problem: `${refusal}: take both from one app; to change the Client ID, stop and remove it from .env` };
    },
  );
  terminal.say(
    `  ✓ Slack knows the app. Under OAuth & Permissions, Redirect URLs, it must have (the link above adds it):\n\n    ${redirectUrl}\n`,
  );
  await makeKey(parts);
  const who = await keepOrAsk(
    parts,
    'SLACK_ALLOWED_WORKSPACES',
    { text: 'Which workspaces may install it? (ids T…, organisations E…, separated by commas; * for every one)' },
    async (answer) => checkShape(shapes.allowedWorkspaces, answer),
  );
  if (who.everyone) terminal.say('  ! every workspace of Slack may install it, and use your agent');
  const { PORT: port, SLACK_SIGNING_SECRET } = files.readEnv();
  if (!port && !SLACK_SIGNING_SECRET) files.writeEnv({ PORT });
  terminal.say(
    `  Let your proxy pass ${INSTALL_PATH} and ${REDIRECT_PATH} on to port ${port || PORT}. People install the app at\n\n    ${redirectUrl.slice(0, -REDIRECT_PATH.length)}${INSTALL_PATH}\n`,
  );
}

/** @returns SLACK_REDIRECT_URL */
async function askForAddress(parts: SetupParts): Promise<string> {
  const { files, terminal } = parts;
  const { SLACK_REDIRECT_URL: known = '' } = files.readEnv();
  const shape = checkShape(shapes.redirectUrlShape, known);
  if (known && 'value' in shape) {
    terminal.say('  ✓ SLACK_REDIRECT_URL is set: kept');
    return shape.value;
  }
  return askUntil(
    terminal,
    { text: 'Address at which people’s browsers reach the bridge (https://bridge.example.com, of a proxy before it):' },
    (answer) => {
      const checked = checkShape(shapes.redirectUrlShape, answer);
      if ('value' in checked) files.writeEnv({ SLACK_REDIRECT_URL: checked.value });
      return checked;
    },
  );
}

/** Makes ENCRYPTION_KEY where there is none. One that is wrong is not replaced: it may be the key of a store, mistyped. */
async function makeKey({ files, terminal, newKey }: SetupParts): Promise<void> {
  const { ENCRYPTION_KEY: known = '' } = files.readEnv();
  if (known === '') {
    files.writeEnv({ ENCRYPTION_KEY: newKey() });
    terminal.say(
      '  ✓ ENCRYPTION_KEY made: it is in .env. Keep a copy apart from the store: without it every workspace must install the app again',
    );
    return;
  }
  const shape = checkShape(shapes.encryptionKeyShape, known);
  if ('value' in shape) terminal.say('  ✓ ENCRYPTION_KEY is set: kept');
  else {
    terminal.say(
      line`  ✗ ENCRYPTION_KEY ${shape.problem} If nothing is installed yet, remove it from .env and run ${commandName('setup')} again`,
    );
  }
}

/** Finds people and channels without a token: by their ids alone, which are not looked up. */
export const idsOnly: Directory = {
  findPerson: async (word) =>
    /^[UWS][A-Z0-9]{2,}$/.test(word)
      ? { found: { id: word, name: word } }
      : { problem: `${word}: without a bot token only ids count (U…, S… of a user group)` },
  findChannel: async (word) =>
    /^[CG][A-Z0-9]{2,}$/.test(word)
      ? { found: { id: word, name: word, isMember: true } }
      : { problem: `${word}: without a bot token only ids count (C…)` },
  listJoined: async () => [],
};
