export interface PolicyAnswers {
  /** `members`, or ids of people and user groups. */
  users: readonly { id: string; name: string }[];
  /** Ids of people and user groups; may be empty. */
  admins: readonly { id: string; name: string }[];
  /** `*`, or ids of channels. */
  channels: readonly { id: string; name: string }[];
  directMessages: boolean;
  /** Another agent for direct messages; `null`: the same. */
  directAgent: string | null;
}

/** A name as a comment of one line; people may have put anything into it. */
function comment(name: string): string {
  const line = name.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
  return line === '' ? '' : ` # ${line.slice(0, 80)}`;
}

/** The text of policy.yml for these answers; everything else keeps its default (policy.example.yml). */
export function policyText({ users, admins, channels, directMessages, directAgent }: PolicyAnswers): string {
  const places = channels.map(
    ({ id, name }) => `  ${id === '*' ? '"*"' : id}:${id === '*' ? '' : comment(`#${name}`)}`,
  );
  const people = (all: PolicyAnswers['users']) =>
    all.map(({ id, name }) => `  - ${id}${id === name ? '' : comment(name)}`);
  return [
    '# Who may use the bot, and where. All settings: policy.example.yml. To reload it: `kill -HUP` the bridge.',
    'users:',
    ...people(users),
    ...(admins.length > 0 ? ['', 'admins:', ...people(admins)] : []),
    '',
    'channels:',
    ...places,
    ...(directMessages
      ? ['  dm:', ...(directAgent === null ? [] : [`    agent: ${JSON.stringify(directAgent)}`])]
      : []),
    '',
  ].join('\n');
}
