import { describe, expect, it } from 'vitest';
import { webPage } from '../../src/letta/web-page.ts';

const runtime = { agentId: 'agent-6f1e', conversationId: 'conv-1' };

describe('the page of a conversation in Letta’s web app', () => {
  it('exists for agents of Letta’s own cloud', () => {
    expect(webPage('https://api.letta.com', runtime)).toBe(
      'https://chat.letta.com/chat/agent-6f1e?conversation=conv-1',
    );
  });

  it('does not exist for local agents and other hosts', () => {
    expect(webPage('https://api.letta.com', { ...runtime, agentId: 'agent-local-1' })).toBeNull();
    expect(webPage('https://letta.example.com', runtime)).toBeNull();
    expect(webPage('nonsense', runtime)).toBeNull();
  });

  it('cannot be led elsewhere by an id', () => {
    const page = webPage('https://api.letta.com', { agentId: 'a/../..//evil?x=|<', conversationId: 'c&d>' }) ?? '';
    expect(new URL(page).host).toBe('chat.letta.com');
    expect(page).not.toMatch(/[<>|]/);
  });
});
