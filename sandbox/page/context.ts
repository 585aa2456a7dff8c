import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { ChannelInfo, Person } from '../web/wire.ts';
import type { Act, PageState } from './store.ts';

export interface PageContext {
  state: PageState;
  dispatch(act: Act): void;
  /** Runs something that may be refused; the refusal is shown. Resolves to whether it went well. */
  attempt(run: () => Promise<unknown>): Promise<boolean>;
}

export const Context = createContext<PageContext | null>(null);

export function usePage(): PageContext {
  const page = useContext(Context);
  if (!page) throw new Error('outside of the page');
  return page;
}

export function personOf(state: PageState, id: string): Person | undefined {
  return state.hello?.people.find((person) => person.id === id);
}

export function channelTitle(state: PageState, { kind, name }: ChannelInfo): string {
  return kind === 'im' ? (personOf(state, state.hello?.bot ?? '')?.real_name ?? 'Agent') : name;
}

/** What a mention shows. */
export function mentionName(state: PageState, id: string): string {
  return `@${personOf(state, id)?.name ?? id}`;
}

/** What a `<#C…>` shows; one that the person is not in has no name for them. */
export function channelMention(state: PageState, id: string): string {
  return `#${state.state?.channels.find((channel) => channel.id === id)?.name ?? id}`;
}

export function timeOf(ts: string): string {
  return new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
