import type { SlackAnswer, SlackApi } from '../../src/slack/api/slack-api.ts';

/** An API whose answers the test gives. `calls` keeps each call's method and its user, channel or user group. */
export function createFakeApi(
  answer: (method: string, args: Record<string, unknown>) => object | Error | Promise<object>,
) {
  const calls: string[] = [];
  const api: SlackApi = {
    async call(method, args) {
      calls.push(`${method} ${args.user ?? args.channel ?? args.usergroup}`);
      const result = await answer(method, args);
      if (result instanceof Error) throw result;
      return { ok: true, ...result } as SlackAnswer;
    },
  };
  return { api, calls };
}
