import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import type { FeedEvent } from '../web/wire.ts';
import { Context } from './context.ts';
import { Channel, ThreadPane } from './conversation.tsx';
import { Lab } from './lab.tsx';
import { Modal } from './modal.tsx';
import { Sidebar } from './sidebar.tsx';
import { initialState, type PageState, reduceState } from './store.ts';

/** The column that a narrow screen shows. */
type Pane = 'channels' | 'chat' | 'lab';

const PANES: readonly { pane: Pane; name: string; sign: string }[] = [
  { pane: 'channels', name: 'Channels', sign: '#' },
  { pane: 'chat', name: 'Messages', sign: '💬' },
  { pane: 'lab', name: 'Behind the scenes', sign: '⚙️' },
];

type Theme = 'auto' | 'light' | 'dark';
const NEXT_THEME = { auto: 'dark', dark: 'light', light: 'auto' } as const;
const THEME_SIGN = { auto: '◐', dark: '☾', light: '☀' } as const;

/** Follows what happens in the sandbox, as one person sees it. */
function useFeed(user: string, tell: (event: FeedEvent) => void, lost: () => void): void {
  useEffect(() => {
    const feed = new EventSource(`/_page/feed?user=${encodeURIComponent(user)}`);
    feed.onmessage = ({ data }: MessageEvent<string>) => tell(JSON.parse(data) as FeedEvent);
    feed.onerror = lost;
    return () => feed.close();
  }, [user, tell, lost]);
}

/** Opens the thread of the scene that plays, or has played when the page is opened. */
function useSceneThread(state: PageState, open: (place: { channel: string; thread: string }) => void): void {
  const shown = useRef<string | null>(null);
  const scene = state.state?.scene ?? null;
  const thread = scene?.thread ?? null;
  const known = thread !== null && (state.messages[thread.channel] ?? []).some(({ ts }) => ts === thread.root);
  useEffect(() => {
    if (thread === null || !known || shown.current === thread.root) return;
    shown.current = thread.root;
    open({ channel: thread.channel, thread: thread.root });
  }, [thread, known, open]);
}

/** For the keyboard: to the newest button that answers a request, else to where one writes. */
function focusNewestRequest(): void {
  const requests = document.querySelectorAll<HTMLElement>('.list .button.primary:not(:disabled)');
  const fields = document.querySelectorAll<HTMLElement>('.composer textarea');
  ([...requests].at(-1) ?? [...fields].at(-1))?.focus();
}

export function App() {
  const [state, dispatch] = useReducer(reduceState, 'U01ALICE', initialState);
  const [pane, setPane] = useState<Pane>('chat');
  const [lab, setLab] = useState(true);
  const [theme, setTheme] = useState<Theme>('auto');

  const tell = useCallback((event: FeedEvent) => dispatch({ do: 'feed', event }), []);
  const lost = useCallback(() => dispatch({ do: 'lost' }), []);
  useFeed(state.user, tell, lost);
  useSceneThread(
    state,
    useCallback((place) => {
      dispatch({ do: 'go', place });
      setPane('chat');
    }, []),
  );
  const attempt = useCallback(async (run: () => Promise<unknown>) => {
    try {
      await run();
      return true;
    } catch (error) {
      dispatch({ do: 'problem', problem: error instanceof Error ? error.message : String(error) });
      return false;
    }
  }, []);
  const page = useMemo(() => ({ state, dispatch, attempt }), [state, attempt]);

  const offers = state.draft.number;
  useEffect(() => {
    if (offers > 0) setPane('chat');
  }, [offers]);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  useEffect(() => {
    if (state.problem === null) return;
    const gone = setTimeout(() => dispatch({ do: 'problem', problem: null }), 8_000);
    return () => clearTimeout(gone);
  }, [state.problem]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (document.querySelector('dialog[open]')) return;
      const channels = state.state?.channels ?? [];
      const at = channels.findIndex(({ id }) => id === state.place.channel);
      if (event.key === 'Escape' && state.place.thread !== null) dispatch({ do: 'go', place: { thread: null } });
      if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return;
      event.preventDefault();
      const next = channels[(at + (event.key === 'ArrowDown' ? 1 : -1) + channels.length) % channels.length];
      if (next) dispatch({ do: 'go', place: { channel: next.id } });
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [state.state, state.place]);

  const top = state.views.modals.at(-1);
  return (
    <Context.Provider value={page}>
      <div class={`page pane-${pane} ${state.place.thread === null ? '' : 'with-thread'} ${lab ? 'with-lab' : ''}`}>
        <header class="top">
          <button type="button" class="skip" onClick={focusNewestRequest}>
            Go to what waits for your click
          </button>
          <h1>
            <strong>letta-slack-bridge</strong> sandbox{' '}
            <small>
              a small Slack, all on this machine{state.hello?.isAgent ? '; the app is declared as an agent' : ''}
            </small>
          </h1>
          <button
            type="button"
            class="icon"
            aria-label={`Theme: ${theme}`}
            title={`Theme: ${theme}`}
            onClick={() => setTheme(NEXT_THEME[theme])}
          >
            {THEME_SIGN[theme]}
          </button>
          <button type="button" class="chip toggle-lab" aria-pressed={lab} onClick={() => setLab(!lab)}>
            Behind the scenes
          </button>
        </header>
        <Sidebar onGo={() => setPane('chat')} />
        <main>
          <Channel />
          <ThreadPane />
        </main>
        <Lab />
        <nav class="panes" aria-label="Parts of the page">
          {PANES.map(({ pane: each, name, sign }) => (
            <button key={each} type="button" aria-pressed={pane === each} onClick={() => setPane(each)}>
              <span aria-hidden="true">{sign}</span>
              {name}
            </button>
          ))}
        </nav>
      </div>
      {top && <Modal key={String(top.id)} view={top} />}
      {!state.isLive && state.hello && (
        <p class="toast" role="status">
          The sandbox does not answer. Is it still running? Trying again…
        </p>
      )}
      {state.problem !== null && (
        <p class="toast bad" role="alert">
          {state.problem}
          <button
            type="button"
            class="icon"
            aria-label="Dismiss"
            onClick={() => dispatch({ do: 'problem', problem: null })}
          >
            ✕
          </button>
        </p>
      )}
    </Context.Provider>
  );
}
