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
  lock: '🔒',
  mag: '🔍',
  memo: '📝',
  no_entry: '⛔',
  pencil2: '✏️',
  question: '❓',
  raised_hand: '✋',
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
  x: '❌',
  zap: '⚡',
};

export const REACTIONS = ['eyes', '+1', 'white_check_mark', 'x', 'tada', 'heart'] as const;

export function emoji(name: string): string {
  return EMOJI[name] ?? `:${name}:`;
}
