import { BoundedMap } from '../../bounded-map.ts';
import { SlackError } from '../api/slack-api.ts';
import type { ListenerContext } from './context.ts';

/** In how many conversations it is remembered what Slack suggests; Slack keeps it, so that it need not be set again. */
const KEPT = 1_000;

/**
 * Suggests what to ask in the messages tab of agent apps, when somebody opens it (docs/slack.md, Agent apps). Other apps
 * have no suggestions.
 */
export function createPromptSuggester({ intake, api, identity, log }: ListenerContext) {
  const suggested = new BoundedMap<string, string>(KEPT);
  let isRefused = false;
  return async (user: string, channel: string): Promise<void> => {
    const { mayBeAgent = false, teamId } = identity();
    if (!mayBeAgent || isRefused) return;
    try {
      const view = await intake.viewHome(user, teamId, 'changed');
      const prompts = view.kind === 'open' ? view.prompts : [];
      const mark = JSON.stringify(prompts);
      if (prompts.length === 0 || suggested.get(channel) === mark) return;
      const shown = prompts.map(({ title, message }) => ({ title, message }));
      await api.call(
        'assistant.threads.setSuggestedPrompts',
        { channel_id: channel, prompts: shown },
        { client: 'live' },
      );
      suggested.set(channel, mark);
    } catch (error) {
      // The app is not declared as an agent, or its token has no such right: Slack would refuse again.
      isRefused = error instanceof SlackError && error.failure === 'refused';
      log.info({ error: error instanceof SlackError ? error.error : String(error) }, 'could not suggest prompts');
    }
  };
}
