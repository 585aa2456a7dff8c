import { objects } from '../slack/model.ts';
import { slack } from './api.ts';
import { Blocks } from './blocks.tsx';
import { usePage } from './context.ts';
import type { OnAct } from './elements.tsx';

/** The App Home tab, as the app last published it for this person. */
export function Home() {
  const { state, attempt } = usePage();
  const { home } = state.views;
  const onAct: OnAct = async (element, choice) => {
    const body = { user: state.user, view: 'home', action: String(element.action_id ?? ''), ...choice };
    await attempt(() => slack('interact', body));
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section class="list home" aria-label="App Home" tabIndex={0}>
      {home ? (
        <Blocks blocks={objects(home.blocks)} onAct={onAct} />
      ) : (
        <p class="empty">The app has not drawn its Home yet.</p>
      )}
    </section>
  );
}
