import type { Clock, Metrics, Surface, SurfaceTurn, TurnSurface } from '../bridge/ports.ts';
import type { TurnView } from '../bridge/view/turn.ts';

/** The same surface; how turns end and how long people wait for them is counted. */
export function watchTurns<Watched extends Surface>(surface: Watched, metrics: Metrics, clock: Clock): Watched {
  return { ...surface, openTurn: (options: SurfaceTurn) => watchTurn(surface, options, metrics, clock) };
}

function watchTurn(surface: Surface, options: SurfaceTurn, metrics: Metrics, clock: Clock): TurnSurface {
  const begun = clock.monotonic();
  // A resumed turn began before a restart, so its times are unknown.
  let firstText: 'none' | 'wished' | 'shown' = options.resumed ? 'shown' : 'none';
  const seconds = () => (clock.monotonic() - begun) / 1_000;
  const noteWish = (view: TurnView) => {
    if (firstText === 'none' && view.items.some((item) => item.kind === 'text' && item.markdown.trim() !== '')) {
      firstText = 'wished';
    }
  };
  const watched = surface.openTurn({
    ...options,
    onPosts(posts) {
      if (firstText === 'wished') {
        firstText = 'shown';
        metrics.observe('turn_first_text_seconds', seconds());
      }
      return options.onPosts(posts);
    },
  });
  return {
    ...watched,
    show(view) {
      noteWish(view);
      watched.show(view);
    },
    async finish(view, endedAt) {
      noteWish(view);
      const delivery = await watched.finish(view, endedAt);
      metrics.count('turns', { outcome: view.ending?.outcome ?? 'interrupted' });
      if (!options.resumed && delivery.delivered) metrics.observe('turn_seconds', seconds());
      return delivery;
    },
  };
}
