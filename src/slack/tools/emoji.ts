/** Slack's names of the signs that models write most, by the sign's code points. */
const NAMES: Readonly<Record<string, string>> = {
  '1f44d': '+1',
  '1f44e': '-1',
  '1f440': 'eyes',
  '2705': 'white_check_mark',
  '2714': 'heavy_check_mark',
  '274c': 'x',
  '26a0': 'warning',
  '1f389': 'tada',
  '1f680': 'rocket',
  '1f64f': 'pray',
  '1f44f': 'clap',
  '2764': 'heart',
  '1f525': 'fire',
  '1f914': 'thinking_face',
  '23f3': 'hourglass_flowing_sand',
  '1f50d': 'mag',
  '1f4dd': 'memo',
  '1f6a8': 'rotating_light',
  '1f41b': 'bug',
  '1f64c': 'raised_hands',
  '1f44b': 'wave',
  '1f4af': '100',
  '1f916': 'robot_face',
  '2757': 'exclamation',
  '2753': 'question',
};
const NAME = /^[a-z0-9_+'-]{1,90}(?:::skin-tone-[2-6])?$/;

/** Slack's name of an emoji that a model wrote: as a name, between colons, or as the sign. `null`: it is none. */
export function emojiName(given: string): string | null {
  const words = given.trim();
  const sign = [...words.replace(/\uFE0F/g, '')].map((char) => char.codePointAt(0)?.toString(16)).join(' ');
  const known = NAMES[sign];
  if (known !== undefined) return known;
  const name = words.replace(/^:|:$/g, '').toLowerCase();
  return NAME.test(name) ? name : null;
}
