import type { JsonObject, StoredView } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { closeViews, makeView, replaceView, STACK_MAX } from '../views.ts';
import { viewWire } from '../wire.ts';
import type { World } from '../world.ts';
import type { Call, Methods } from './method.ts';

function givenView(call: Call): unknown {
  return call.args.json('view', 'invalid_arguments');
}

function stackOf(call: Call, user: string): StoredView[] {
  return call.world.workspace.stacks.get(user) ?? [];
}

function viewAnswer(world: World, view: StoredView): JsonObject {
  return { view: viewWire(world, view) };
}

function triggerId(call: Call): string {
  return call.args.string('trigger_id') ?? call.args.required('interactivity_pointer');
}

export const views: Methods = {
  'views.open': {
    scopes: [],
    tier: 'T4',
    run(call) {
      const { world } = call;
      const view = makeView(world, givenView(call), 'modal');
      const trigger = world.triggers.useTrigger(triggerId(call));
      view.user = trigger.user;
      closeViews(world, trigger.user);
      world.workspace.stacks.set(trigger.user, [view]);
      return viewAnswer(call.world, view);
    },
  },
  'views.push': {
    scopes: [],
    tier: 'T4',
    run(call) {
      const { world } = call;
      const view = makeView(world, givenView(call), 'modal');
      const trigger = world.triggers.useTrigger(triggerId(call));
      const stack = stackOf(call, trigger.user);
      const top = stack.at(-1);
      if (!top || trigger.viewId === null) throw new Refusal('not_found');
      if (stack.length >= STACK_MAX) throw new Refusal('push_limit_reached');
      Object.assign(view, { user: trigger.user, rootId: top.rootId, previousId: top.id });
      world.workspace.stacks.set(trigger.user, [...stack, view]);
      return viewAnswer(call.world, view);
    },
  },
  'views.update': {
    scopes: [],
    tier: 'T4',
    run(call) {
      const { world, args } = call;
      const id = args.string('view_id');
      const externalId = args.string('external_id');
      const all = [...world.workspace.stacks.values()].flat();
      const view = all.find((v) => (id ? v.id === id : externalId !== undefined && v.externalId === externalId));
      if (!view) throw new Refusal('not_found');
      const hash = args.string('hash');
      if (hash !== undefined && hash !== view.hash) throw new Refusal('hash_conflict');
      replaceView(world, view, givenView(call));
      return viewAnswer(call.world, view);
    },
  },
  'views.publish': {
    scopes: [],
    tier: 'T4',
    run(call) {
      const { world, args } = call;
      const user = args.required('user_id');
      if (!world.workspace.users.has(user)) throw new Refusal('user_not_found');
      const old = world.workspace.homes.get(user);
      const hash = args.string('hash');
      if (hash !== undefined && old && hash !== old.hash) throw new Refusal('hash_conflict');
      const view = makeView(world, givenView(call), 'home');
      view.user = user;
      world.workspace.homes.set(user, view);
      return viewAnswer(call.world, view);
    },
  },
};
