import type { Tokens } from '../agent-event.ts';
import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';

/** As people write numbers: `12,340`. */
const counted = (count: number) => count.toLocaleString('en-US');

/** @param isAll whether the bridge heard all of it */
export function tokensText({ input, cached, output }: Tokens, isAll = true): string {
  const fromCache = cached === 0 ? '' : ` (${counted(cached)} from the cache)`;
  return `${isAll ? '' : 'at least '}${counted(input)} tokens in${fromCache}, ${counted(output)} out`;
}

/** For a status line: what the running turn, or else the last one, used. */
export function lastTokensText(tokens: Tokens, isAll: boolean, isRunning: boolean): string {
  return `${isRunning ? 'so far' : 'last turn'} ${tokensText(tokens, isAll)}`;
}

export const USAGE = {
  usage: 'For how many days? For example `usage 7d`, at most `usage 35d`.',
  nothing: 'No turn has ended in that time.',
  byPerson: '*By person*',
  byChannel: '*By channel*',
  byModel: '*By model*',
  direct: 'direct messages',
  other: 'others',
  noModel: 'model not told',
} as const;

export function usageHeadText(days: number, turns: number, tokens: Tokens): string {
  const when = days === 1 ? 'Today (UTC)' : `The last ${days} days (UTC)`;
  return `${when}: ${turnsText(turns)}, ${tokensText(tokens)}.`;
}

function turnsText(turns: number): string {
  return turns === 1 ? '1 turn' : `${counted(turns)} turns`;
}

/** @param whose Markdown of ours */
export function usageLine(whose: string, turns: number, tokens: Tokens): string {
  return `- ${whose}: ${turnsText(turns)}, ${tokensText(tokens)}`;
}

/** @param handle foreign text */
export const usageModel = (handle: string): string => asCode(oneLine(handle, 100));

export function moreUsageText(more: number): string {
  return `- … and ${counted(more)} more`;
}
