import { type Played, playScene } from '../player.ts';
import type { Sandbox } from '../sandbox.ts';
import { ControlError } from '../slack/control/api.ts';
import type { CallFault } from '../slack/faults.ts';
import { PAGE_FAULTS } from './faults.ts';
import { PAGE_SCENES } from './scenes.ts';
import type { FaultInfo, SceneInfo, State, ThreadPlace } from './wire.ts';

const LINGER_MS = 1_500;

/** What all pages of one sandbox share: the scene that plays, and the faults that wait. */
export class Stage {
  readonly #sandbox: Sandbox;
  #scene: State['scene'] = null;
  #playing: AbortController | null = null;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  get scene(): State['scene'] {
    return this.#scene;
  }

  /** None with a real agent, because it does not know the directives of scenes. */
  get scenes(): SceneInfo[] {
    return this.#sandbox.letta ? PAGE_SCENES.map(({ id, title, about }) => ({ id, title, about })) : [];
  }

  get faults(): FaultInfo[] {
    const known = PAGE_FAULTS.filter(({ side }) => side === 'slack' || this.#sandbox.letta);
    return known.map(({ id, side, title, about }) => ({ id, side, title, about }));
  }

  /** Begins a scene at once; `onBegun` hears of each thread. @returns how it went, when it is over @throws ControlError while another one plays. */
  playScene(id: string, onBegun: (thread: ThreadPlace) => void = () => undefined): Promise<Played | null> {
    const scene = PAGE_SCENES.find((known) => known.id === id);
    if (!scene || !this.#sandbox.letta) throw new ControlError(404, `no scene ${id}`);
    if (this.#playing) throw new ControlError(409, 'a scene is playing');
    const playing = new AbortController();
    this.#playing = playing;
    const changeScene = (change: Partial<NonNullable<State['scene']>>) => {
      if (this.#scene) this.#scene = { ...this.#scene, ...change };
    };
    this.#scene = { id, state: 'playing', failures: [], thread: null };
    const onThread = (thread: ThreadPlace) => {
      changeScene({ thread });
      onBegun(thread);
    };
    return playScene(this.#sandbox, scene.readScene(), { signal: playing.signal, linger: LINGER_MS, onThread })
      .then((played) => {
        if (playing.signal.aborted) changeScene({ state: 'ended' });
        else changeScene({ state: played.ok ? 'done' : 'failed', failures: played.failures });
        return played;
      })
      .catch((error: unknown) => {
        changeScene({ state: 'failed', failures: [String(error)] });
        return null;
      })
      .finally(() => {
        this.#playing = null;
      });
  }

  /** Ends the scene that plays, if one does. */
  endScene(): void {
    this.#playing?.abort();
  }

  async causeFault(id: string): Promise<void> {
    const fault = PAGE_FAULTS.find((known) => known.id === id);
    if (!fault) throw new ControlError(404, `no fault ${id}`);
    await fault.causeFault(this.#sandbox);
  }

  /** Faults that have not happened yet, in words. */
  describeFaults(slack: readonly CallFault[]): string[] {
    const letta = this.#sandbox.letta?.state().faults;
    return [
      ...slack.map(({ method, kind, times }) => `${method ?? 'any call'}: ${kind} × ${times ?? 1}`),
      ...(Array.isArray(letta) ? letta.map((fault) => `Letta: ${String(fault.kind)}`) : []),
    ].slice(0, 20);
  }
}
