import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { home } from './real-letta.ts';

/** The part of Letta's own `AppServerClient` that the tests use, as its package declares it. */
export interface OfficialClient {
  connect(): Promise<unknown>;
  close(): void;
  onMessage(handler: (message: OfficialFrame) => void): () => void;
  runtimeStart(command: Record<string, unknown>): Promise<{ success: boolean; error?: string; runtime?: Runtime }>;
  submitInput(command: Record<string, unknown>): Promise<{ accepted: boolean; error?: string }>;
  conversationList(command: Record<string, unknown>): Promise<{ conversations?: { id: string; agent_id: string }[] }>;
  request(type: string, body: Record<string, unknown>): Promise<Record<string, unknown>>;
}

export interface Runtime {
  agent_id: string;
  conversation_id: string;
}

export type OfficialFrame = { type: string } & Record<string, unknown>;

/** Connects Letta's own client, from the installed package, to an App Server. */
export async function connectOfficialClient(url: string): Promise<OfficialClient> {
  const entry = createRequire(join(home, 'package.json')).resolve('@letta-ai/letta-code/app-server-client');
  const { AppServerClient } = (await import(pathToFileURL(entry).href)) as {
    AppServerClient: new (options: { url: string }) => OfficialClient;
  };
  const client = new AppServerClient({ url });
  await client.connect();
  return client;
}
