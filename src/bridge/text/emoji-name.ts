/**
 * Names that Slack has for the same emoji: each after the first is an alias of it. Only those that people may well put
 * into a policy; an alias that is missing here works under the name that Slack sends.
 */
const SAME: readonly (readonly string[])[] = [
  ['+1', 'thumbsup'],
  ['-1', 'thumbsdown'],
  ['bee', 'honeybee'],
  ['boat', 'sailboat'],
  ['book', 'open_book'],
  ['boom', 'collision'],
  ['car', 'red_car'],
  ['email', 'envelope'],
  ['exclamation', 'heavy_exclamation_mark'],
  ['exploding_head', 'shocked_face_with_exploding_head'],
  ['face_with_raised_eyebrow', 'face_with_one_eyebrow_raised'],
  ['face_vomiting', 'face_with_open_mouth_vomiting'],
  ['facepunch', 'punch'],
  ['feet', 'paw_prints'],
  ['hand', 'raised_hand'],
  ['hankey', 'poop', 'shit'],
  ['hocho', 'knife'],
  ['izakaya_lantern', 'lantern'],
  ['ladybug', 'lady_beetle'],
  ['laughing', 'satisfied'],
  ['lightning', 'lightning_cloud'],
  ['mans_shoe', 'shoe'],
  ['memo', 'pencil'],
  ['middle_finger', 'reversed_hand_with_middle_finger_extended'],
  ['moon', 'waxing_gibbous_moon'],
  ['phone', 'telephone'],
  ['runner', 'running'],
  ['shirt', 'tshirt'],
  ['shushing_face', 'face_with_finger_covering_closed_lips'],
  ['star-struck', 'grinning_face_with_star_eyes'],
  ['the_horns', 'sign_of_the_horns'],
  ['tornado', 'tornado_cloud'],
  ['zany_face', 'grinning_face_with_one_large_and_one_small_eye'],
];

const FIRST: ReadonlyMap<string, string> = new Map(
  SAME.flatMap(([first = '', ...aliases]) => aliases.map((alias): [string, string] => [alias, first])),
);

/** Letters of any script: workspaces name their own emoji. */
const NAME = /^[\p{L}\p{M}\p{N}_+'.-]{1,100}$/u;

/**
 * An emoji's name without colons and skin tone, the same for all its aliases: `:thumbsup::skin-tone-3:` is `+1`; `null`
 * when it is no name.
 */
export function emojiName(given: string): string | null {
  const plain = given
    .trim()
    .toLowerCase()
    .replace(/^:|:$/g, '')
    .replace(/::skin-tone-[1-6]$/, '');
  return NAME.test(plain) ? (FIRST.get(plain) ?? plain) : null;
}
