import type { SmallSlack } from '../../sandbox/slack/server.ts';
import { startBridgeSide } from '../world.ts';
import type { StreamApp } from './stream-app.ts';

/** Starts the bridge between that Slack and a scripted Letta. Calls `heard` with each word as Letta sends it. */
export async function startBridgeApp(
  slack: SmallSlack,
  channels: readonly string[],
  database: string,
  heard: (channel: string) => void,
): Promise<StreamApp> {
  /** By conversation: the prompt names the channel that it came from. */
  const places = new Map<string, string>();
  const { startBridge, close } = await startBridgeSide(slack, database, {
    channels,
    onFrame(dir, frame) {
      const { type, runtime, delta } = frame as Frame;
      if (runtime === undefined) return;
      if (dir === 'in' && type === 'input') {
        const place = /stream in (\w+)/.exec(JSON.stringify(frame))?.[1];
        if (place !== undefined) places.set(runtime.conversation_id, place);
      }
      if (delta?.message_type !== 'assistant_message') return;
      const place = places.get(runtime.conversation_id);
      if (place !== undefined) heard(place);
    },
  });
  const bridge = await startBridge();
  return {
    prompt: (channel, words, wordGap, line) =>
      `@agent stream in ${channel}\nslow ${words} words ${wordGap} ms${line > 0 ? ` in lines of ${line}` : ''}`,
    async stop() {
      await bridge.stop();
      await close();
    },
  };
}

interface Frame {
  type: string;
  runtime?: { conversation_id: string };
  delta?: { message_type: string };
}
