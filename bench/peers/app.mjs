import { setTimeout as sleep } from 'node:timers/promises';
import { createSlackAdapter } from '@chat-adapter/slack';
import { createMemoryState } from '@chat-adapter/state-memory';
import { Chat, ConsoleLogger } from 'chat';

// The SDK acknowledges on a socket that is just being replaced, and nobody catches that; a run goes on without it.
process.on('unhandledRejection', (error) => {
  process.stderr.write(`peer: ${error instanceof Error ? error.message : String(error)}\n`);
});

/**
 * Vercel's Chat SDK as an app that streams counted words, as its README says a bot should: post an async iterable into
 * the thread.
 * @param name `chat-sdk` with its defaults, which stream natively, `chat-sdk:MS` with that time between edits instead
 */
export function peerStarter(name) {
  const interval = name.split(':')[1];
  return async (slack, _channels, _database, heard) => {
    const logger = new ConsoleLogger('silent');
    const chat = new Chat({
      userName: 'agent',
      logger,
      adapters: {
        slack: createSlackAdapter({
          mode: 'socket',
          apiUrl: slack.url,
          botToken: slack.tokens.bot,
          appToken: slack.tokens.app,
          logger,
          ...(interval !== undefined && { nativeStreaming: false }),
        }),
      },
      state: createMemoryState(),
      ...(interval !== undefined && {
        streamingUpdateIntervalMs: Number(interval),
        fallbackStreamingPlaceholderText: null,
      }),
    });
    const answer = async (thread, message) => {
      const [, channel, ...numbers] = /stream (\w+) (\d+) ([\d.]+) (\d+)/.exec(message.text) ?? [];
      if (channel !== undefined) await thread.post(stream(channel, ...numbers.map(Number), heard));
    };
    chat.onNewMention(async (thread, message) => {
      await thread.subscribe();
      await answer(thread, message);
    });
    chat.onSubscribedMessage(answer);
    await chat.initialize();
    return {
      prompt: (channel, words, wordGap, line) => `@agent stream ${channel} ${words} ${wordGap} ${line}`,
      // Its process ends with the run; shut down while Slack limits it, it would first wait that out.
      stop: async () => {},
    };
  };
}

/** The same words at the same pace as the scripted Letta's. Never waits for the one who reads. */
async function* stream(channel, words, gap, line, heard) {
  const pause = (at) => (at === 0 ? '' : line > 0 && at % line === 0 ? '\n' : ' ');
  const begun = performance.now();
  const written = [];
  let more = Promise.withResolvers();
  const write = async () => {
    for (let at = 0; at < words; at += 1) {
      await sleep(Math.max(0, begun + at * gap - performance.now()));
      heard(channel);
      written.push(`${pause(at)}word${at + 1}`);
      more.resolve();
    }
  };
  void write();
  for (let at = 0; at < words; at += 1) {
    while (written.length <= at) {
      await more.promise;
      more = Promise.withResolvers();
    }
    yield written[at];
  }
}
