import { z } from 'zod';
import type { Approvers, PeopleList, Permissions, Verbosity } from '../bridge/access/policy.ts';
import { problemOfRule } from '../bridge/approvals/auto-approval/rules.ts';
import { parseStoreUri } from '../storage/store-uri.ts';

/** Turns one setting's text into its value. Error messages read `problem → fix`: what is wrong, then what to do. */
export type Check<T> = z.ZodType<T, string>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Whether that host name can only mean this machine. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    hostname === '::1' ||
    /^127(\.\d+){3}$/.test(hostname)
  );
}

export const anyText = z.string();
export const word = z.string().regex(/^\S+$/, 'contains a space or a line break → Copy it again, as one word.');

function slackToken(prefix: 'xoxb-' | 'xapp-', where: string): Check<string> {
  return z.string().superRefine((value, context) => {
    const fail = (message: string) => context.addIssue({ code: 'custom', message });
    if (/\s/.test(value)) fail('contains a space or a line break → Copy it again, as one word.');
    else if (value.startsWith(prefix) && value.length > prefix.length) return;
    else if (value.startsWith('xoxp-')) fail(`is a user token (xoxp-) → ${where}`);
    else if (value.startsWith('xoxe')) fail(`is a token for token rotation or app configuration (xoxe) → ${where}`);
    else if (value.startsWith('xapp-'))
      fail(`is an app-level token (xapp-), which belongs in SLACK_APP_TOKEN → ${where}`);
    else if (value.startsWith('xoxb-')) fail(`is a bot token (xoxb-), which belongs in SLACK_BOT_TOKEN → ${where}`);
    else fail(`does not begin with ${prefix} → ${where}`);
  });
}

export const botTokenShape = slackToken(
  'xoxb-',
  'Copy the Bot User OAuth Token (xoxb-…) from your Slack app, OAuth & Permissions.',
);
export const appTokenShape = slackToken(
  'xapp-',
  'Make an app-level token (xapp-…) with connections:write under Basic Information, App-Level Tokens.',
);
export const signingSecretShape = word.refine(
  (value) => !/^x(ox|app)/.test(value),
  'is a token, not a signing secret → Copy the Signing Secret from Basic Information, App Credentials.',
);

export const clientIdShape = z
  .string()
  .regex(/^\d+\.\d+$/, 'is not a client id → Copy the Client ID (digits, a dot, digits) from Basic Information.');
export const clientSecretShape = word
  .refine((value) => !/^x(ox|app)/.test(value), 'is a token, not a client secret → Copy the Client Secret.')
  .refine((value) => value.length >= 16, 'is too short → Copy the whole Client Secret from Basic Information.');

const KEY_BYTES = 32;
/** Fewer different bytes are not chance: among 32 random ones there are about 30. */
const LEAST_DIFFERENT = 16;
const MAKE_KEY = 'Make one with `openssl rand -base64 32`.';

/** 32 bytes, as 64 hexadecimal digits or as base64 (with or without `=`, with `+/` or `-_`). */
export const encryptionKeyShape: Check<Uint8Array> = z.string().transform((value, context): Uint8Array => {
  const isHex = /^[0-9a-f]{64}$/i.test(value);
  const isBase64 = /^[A-Za-z0-9+/_-]{43}=?$/.test(value);
  const bytes = isHex ? Buffer.from(value, 'hex') : isBase64 ? Buffer.from(value, 'base64') : null;
  if (bytes?.length !== KEY_BYTES) {
    context.addIssue({ code: 'custom', message: `is not a key of ${KEY_BYTES} bytes in base64 or hex → ${MAKE_KEY}` });
    return z.NEVER;
  }
  if (new Set(bytes).size < LEAST_DIFFERENT) {
    context.addIssue({ code: 'custom', message: `is not random → ${MAKE_KEY}` });
    return z.NEVER;
  }
  return bytes;
});

export const webUrl = z.string().superRefine((value, context) => {
  const fail = (message: string) => context.addIssue({ code: 'custom', message });
  const url = URL.parse(value);
  if (!url || !['http:', 'https:'].includes(url.protocol))
    fail('is not a web address → Use one that begins with https://.');
  else if (url.username || url.password) fail('contains a password → Remove everything before the @, and the @.');
  else if (url.search || url.hash) fail('contains a query → Remove everything after the path.');
  else if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    fail('would send tokens unencrypted over the network → Use https://, or a server on this machine.');
  }
});

/** A page that people open; without the slash at its end. */
export const pageUrl = webUrl.transform((value, context) => {
  if (new URL(value).protocol === 'https:') return value.replace(/\/+$/, '');
  context.addIssue({ code: 'custom', message: 'is not encrypted → Use an address that begins with https://.' });
  return z.NEVER;
});

const REDIRECT_PATH = '/slack/oauth_redirect';

/** A bare address gets the path; one with a path is behind a proxy that passes the end of it on. */
export const redirectUrlShape = webUrl.transform((value, context) => {
  const url = new URL(value);
  const path = url.pathname.replace(/\/+$/, '');
  if (path !== '' && !path.endsWith(REDIRECT_PATH)) {
    context.addIssue({
      code: 'custom',
      message: `does not end with ${REDIRECT_PATH} → Write it like https://bridge.example.com${REDIRECT_PATH}.`,
    });
    return z.NEVER;
  }
  return `${url.origin}${path === '' ? REDIRECT_PATH : path}`;
});

export const socketUrl = z.string().superRefine((value, context) => {
  const fail = (message: string) => context.addIssue({ code: 'custom', message });
  const url = URL.parse(value);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') {
    fail(`begins with ${url.protocol}// → Write ws:// instead of http://, and wss:// instead of https://.`);
  } else if (!url || !['ws:', 'wss:'].includes(url.protocol) || url.hostname === '') {
    fail('is not a WebSocket address → Use one like ws://127.0.0.1:4500/ws.');
  } else if (url.username || url.password || url.search || url.hash) {
    fail('contains more than host, port and path → Keep only those; a token belongs in LETTA_APP_SERVER_TOKEN.');
  }
});

/** Where devices dial in: a server of its own, or a path on the bridge's port, without a slash at its end. */
export type ListenAddress = { host: string; port: number } | { path: string };

const LISTEN = 'is neither host:port nor a path → Use 127.0.0.1:4600, or a path such as /devices on the bridge’s PORT.';
/** What the bridge itself answers on its port. */
const OWN_PATHS = /^\/(healthz|readyz|metrics|slack)(\/|$)/;

export const listenShape: Check<ListenAddress> = z.string().transform((value, context): ListenAddress => {
  const fail = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  if (value.startsWith('/')) {
    const path = value.replace(/\/+$/, '');
    if (!/^(\/[\w.-]+)+$/.test(path)) return fail(LISTEN);
    return OWN_PATHS.test(path)
      ? fail('is a path of the bridge itself → Use another one, such as /devices.')
      : { path };
  }
  const url = URL.parse(`http://${value}`);
  const port = /:(\d{1,5})$/.exec(value)?.[1];
  if (!url || port === undefined || Number(port) > 65_535 || url.host !== value.replace(/:0*80$/, '').toLowerCase()) {
    return fail(LISTEN);
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
});

/**
 * The address for devices, without a slash at its end. A bare one gets the path on which the bridge listens; one with a
 * path is behind a proxy that passes it on.
 */
export function addressForDevices(url: string, at: ListenAddress): string {
  const { origin, pathname } = new URL(url);
  return 'path' in at && pathname === '/' ? `${origin}${at.path}` : url.replace(/\/+$/, '');
}

/** Whoever knows it can pose as a machine and read what people write. */
export const deviceToken: Check<string> = word.refine(
  (value) => value.length >= 24,
  'is shorter than 24 characters → Make one with `openssl rand -hex 32`.',
);

export const relayShape: Check<'single' | 'pair'> = z.enum(
  ['single', 'pair'],
  'must be single or pair → Use single, unless Letta told you otherwise.',
);

export const trueOrFalse: Check<'true' | 'false'> = z.enum(
  ['true', 'false'],
  'must be true or false → Remove it to let the bridge find out.',
);

export const agentIdShape = z
  .string()
  .regex(/^\S+$/, 'is not an agent id → Use one like agent-1234…; Letta shows it in the agent’s settings.');

const PERMISSIONS = ['guarded', 'standard', 'acceptEdits', 'strict', 'unrestricted'] as const;
/** `Bash(npm test); Write(docs/**)` */
export const autoApproveShape = z
  .string()
  .transform((value) => value.split(';').flatMap((rule) => (rule.trim() === '' ? [] : [rule.trim()])))
  .superRefine((rules, context) => {
    for (const problem of rules.map(problemOfRule)) {
      if (problem === null) continue;
      context.addIssue({
        code: 'custom',
        message: `contains an invalid rule: ${problem} → Write rules like Bash(npm test).`,
      });
    }
  });

export const permissionsShape: Check<Permissions> = z.enum(PERMISSIONS, {
  error: ({ input }) =>
    `is ${quoteWord(input)}not a mode → Use ${PERMISSIONS.slice(0, -1).join(', ')} or ${PERMISSIONS.at(-1)}.`,
});

/** `"yolo", which is `; empty for what is no short word, because a token may have been pasted there. */
function quoteWord(input: unknown): string {
  return typeof input === 'string' && /^[A-Za-z_]{1,20}$/.test(input) ? `${JSON.stringify(input)}, which is ` : '';
}

export const verbosityShape: Check<Verbosity> = z.enum(
  ['quiet', 'compact', 'verbose'],
  'must be quiet, compact or verbose → Use compact if you are not sure.',
);

export const onOrOff: Check<boolean> = z
  .enum(['on', 'off'], 'is neither on nor off → Write on or off.')
  .transform((value) => value === 'on');

export const allowOrDeny: Check<boolean> = z
  .enum(['allow', 'deny'], 'is neither allow nor deny → Write allow or deny.')
  .transform((value) => value === 'allow');

export const storeShape = z.string().superRefine((value, context) => {
  const parsed = parseStoreUri(value);
  if (!parsed.ok) context.addIssue({ code: 'custom', message: `${parsed.problem} → ${parsed.fix}` });
});

export const connectionCount: Check<number> = z
  .string()
  .regex(/^\d{1,3}$/, 'is not a number from 1 to 200 → Use a number such as 10.')
  .transform(Number)
  .refine((count) => count >= 1 && count <= 200, 'is not a number from 1 to 200 → Use a number such as 10.');

export const portShape: Check<number> = z
  .string()
  .regex(/^\d{1,5}$/, 'is not a port number → Use a number from 0 to 65535.')
  .transform(Number)
  .refine((port) => port <= 65_535, 'is not a port number → Use a number from 0 to 65535.');

export const historyShape: Check<'full' | 'limited' | 'off'> = z.enum(
  ['full', 'limited', 'off'],
  'must be full, limited or off → Use limited if Slack allows the app only one history call a minute, else full.',
);

export const nativeStreamsShape: Check<boolean> = z
  .enum(['dm', 'off'], 'is neither dm nor off → Write NATIVE_STREAMS=dm or NATIVE_STREAMS=off.')
  .transform((value) => value === 'dm');

const TIME_UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `30s`, `15m`, `24h`, `7d` → ms. @param most the longest time, written in the same way */
export function timeUpTo(most: string): Check<number> {
  const ms = (value: string) => Number(value.slice(0, -1)) * TIME_UNITS[value.slice(-1) as keyof typeof TIME_UNITS];
  return z
    .string()
    .regex(/^\d{1,6}[smhd]$/, 'is not a duration → Write a number and s, m, h or d, such as 15m or 7d.')
    .transform(ms)
    .refine((value) => value <= ms(most), `is more than ${most} → Use at most ${most}.`);
}

/** As `timeUpTo`, but more than 0. */
export function someTimeUpTo(most: string): Check<number> {
  return timeUpTo(most).refine((ms) => ms > 0, 'must be more than 0 → Use 1s or more.');
}

export const threadCount: Check<number> = z
  .string()
  .regex(/^\d{1,4}$/, 'is not a number from 0 to 1000 → Use a number such as 200.')
  .transform(Number)
  .refine((count) => count <= 1_000, 'is not a number from 0 to 1000 → Use a number such as 200.');

export const contextSize: Check<number> = z
  .string()
  .regex(/^\d{1,3}$/, 'is not a number from 0 to 200 → Use a number such as 50.')
  .transform(Number)
  .refine((count) => count <= 200, 'is not a number from 0 to 200 → Use a number such as 50.');

export const logLevelShape: Check<LogLevel> = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['debug', 'info', 'warn', 'error'], 'is not a log level → Use debug, info, warn or error.'));

function entries(value: string): string[] {
  const parts = value.split(',').map((part) => part.trim());
  return [...new Set(parts.filter((part) => part !== ''))];
}

const NOBODY = 'is an empty list → ';
const WHERE_IDS = 'member ids (U…; in Slack: profile, ⋮, Copy member ID), user group ids (S…)';

/** Separates ids of users from ids of user groups by their first letter. */
function peopleOf(all: readonly string[]): PeopleList {
  return {
    ids: all.filter((entry) => !entry.startsWith('S')),
    groups: all.filter((entry) => entry.startsWith('S')),
  };
}

export const allowedUsers = z
  .string()
  .transform(entries)
  .superRefine((all, context) => {
    const wrong = all.find((entry) => !/^(\*|members|[UWS][A-Z0-9]+)$/.test(entry));
    if (all.length === 0) context.addIssue({ code: 'custom', message: `${NOBODY}Name user ids, members or *.` });
    if (wrong !== undefined) {
      const fix = `Use ${WHERE_IDS}, members or *, separated by commas.`;
      context.addIssue({
        code: 'custom',
        message: `has ${JSON.stringify(wrong.slice(0, 60))}, which is not a user id or a user group id → ${fix}`,
      });
    }
  })
  .transform((all) => ({
    everyone: all.includes('*'),
    members: all.includes('members'),
    ...peopleOf(all.filter((entry) => entry !== '*' && entry !== 'members')),
  }));

function namedPeople(words: readonly string[]) {
  const also = words.map((word) => `, or ${word}`).join('');
  return z
    .string()
    .transform(entries)
    .superRefine((all, context) => {
      const wrong = all.find((entry) => !words.includes(entry) && !/^[UWS][A-Z0-9]+$/.test(entry));
      if (all.length === 0) context.addIssue({ code: 'custom', message: `${NOBODY}Name user ids${also}.` });
      if (wrong === undefined) return;
      const what = `has ${JSON.stringify(wrong.slice(0, 60))}, which is not a user id or a user group id`;
      context.addIssue({ code: 'custom', message: `${what} → Use ${WHERE_IDS}${also}, separated by commas.` });
    });
}

export const peopleShape: Check<PeopleList> = namedPeople([]).transform(peopleOf);

export const approversShape: Check<Approvers> = namedPeople(['requester']).transform((all) => ({
  requester: all.includes('requester'),
  ...peopleOf(all.filter((entry) => entry !== 'requester')),
}));

export const allowedChannels = z
  .string()
  .transform(entries)
  .superRefine((all, context) => {
    const wrong = all.find((entry) => !/^(\*|dm|group_dm|[CGD][A-Z0-9]+)$/.test(entry));
    if (all.length === 0) context.addIssue({ code: 'custom', message: `${NOBODY}Name channel ids, dm or *.` });
    if (wrong !== undefined) {
      const fix = 'Use channel ids (C…; in Slack: at the bottom of the channel details), dm or *, separated by commas.';
      context.addIssue({
        code: 'custom',
        message: `has ${JSON.stringify(wrong.slice(0, 60))}, which is not a channel id → ${fix}`,
      });
    }
  })
  .transform((all) => ({
    everywhere: all.includes('*'),
    directMessages: all.includes('dm'),
    ...(all.includes('group_dm') && { groupDirectMessages: true }),
    ids: all.filter((entry) => entry !== '*' && entry !== 'dm' && entry !== 'group_dm'),
  }));

export const allowedWorkspaces = z
  .string()
  .transform(entries)
  .superRefine((all, context) => {
    const wrong = all.find((entry) => !/^(\*|[TE][A-Z0-9]+)$/.test(entry));
    if (all.length === 0) context.addIssue({ code: 'custom', message: `${NOBODY}Name workspace ids or *.` });
    if (wrong !== undefined) {
      const fix = 'Use workspace ids (T…; in a browser: app.slack.com/client/T…), ids of organisations (E…), or *.';
      context.addIssue({
        code: 'custom',
        message: `has ${JSON.stringify(wrong.slice(0, 60))}, which is not a workspace id → ${fix}`,
      });
    }
  })
  .transform((all) => ({ everyone: all.includes('*'), ids: all.filter((entry) => entry !== '*') }));

export const messageCount: Check<number> = z
  .string()
  .regex(/^[1-9]\d?$/, 'is not a number from 1 to 99 → Use a number such as 5.')
  .transform(Number);

export const queueSize: Check<number> = z
  .string()
  .regex(/^[1-9]\d{0,4}$/, 'is not a number from 1 to 99999 → Use a number such as 50.')
  .transform(Number);
