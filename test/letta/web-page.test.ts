import { describe, expect, it } from 'vitest';
import { webPage } from '../../src/letta/web-page.ts';

const runtime = { agentId: 'agent-6f1e', conversationId: 'conv-1' };

describe('the page of a conversation in Letta’s web app', () => {
  it('exists for agents of Letta’s own cloud', () => {
    expect(webPage({ baseUrl: 'https://api.letta.com' }, runtime)).toBe(
      'https://chat.letta.com/chat/agent-6f1e?conversation=conv-1',
    );
  });

  it('does not exist for local agents and other hosts', () => {
    expect(webPage({ baseUrl: 'https://api.letta.com' }, { ...runtime, agentId: 'agent-local-1' })).toBeNull();
    expect(webPage({ baseUrl: 'https://letta.example.com' }, runtime)).toBeNull();
    expect(webPage({ baseUrl: 'nonsense' }, runtime)).toBeNull();
  });

  it('is where LETTA_WEB_URL says, on any host, for agents of the cloud', () => {
    const own = { baseUrl: 'https://letta.example.com', webUrl: 'https://chat.example.com/app' };
    expect(webPage(own, runtime)).toBe('https://chat.example.com/app/chat/agent-6f1e?conversation=conv-1');
    expect(webPage(own, { ...runtime, agentId: 'agent-local-1' })).toBeNull();
  });

  it('cannot be led elsewhere by an id', () => {
    const page =
      webPage({ baseUrl: 'https://api.letta.com' }, { agentId: 'a/../..//evil?x=|<', conversationId: 'c&d>' }) ?? '';
    expect(new URL(page).host).toBe('chat.letta.com');
    expect(page).not.toMatch(/[<>|]/);
  });
});
