/** The emoji that reactions and texts here are made of; others show by name. */
const EMOJI: Readonly<Record<string, string>> = {
  '+1': '👍',
  '-1': '👎',
  alarm_clock: '⏰',
  arrow_right: '➡️',
  bangbang: '‼️',
  bulb: '💡',
  clipboard: '📋',
  eyes: '👀',
  fire: '🔥',
  gear: '⚙️',
  hammer_and_wrench: '🛠️',
  heart: '❤️',
  hourglass: '⌛',
  hourglass_flowing_sand: '⏳',
  information_source: 'ℹ️',
  key: '🔑',
  large_blue_circle: '🔵',
  large_green_circle: '🟢',
  large_orange_circle: '🟠',
  large_yellow_circle: '🟡',
  lock: '🔒',
  mag: '🔍',
  memo: '📝',
  no_entry: '⛔',
  pencil2: '✏️',
  question: '❓',
  raised_hand: '✋',
  red_circle: '🔴',
  robot_face: '🤖',
  rocket: '🚀',
  smile: '😄',
  sparkles: '✨',
  speech_balloon: '💬',
  stop_sign: '🛑',
  tada: '🎉',
  thinking_face: '🤔',
  thumbsdown: '👎',
  thumbsup: '👍',
  warning: '⚠️',
  wave: '👋',
  white_check_mark: '✅',
  white_circle: '⚪',
  x: '❌',
  zap: '⚡',
};

/** Those that the tools of a message offer come first. */
export const REACTIONS = ['eyes', '+1', '-1', 'white_check_mark', 'tada', 'heart'] as const;

export function emoji(name: string): string {
  return EMOJI[name] ?? `:${name}:`;
}
