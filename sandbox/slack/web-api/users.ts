import { isObject } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { userWire } from '../wire.ts';
import { type Methods, pageOf } from './method.ts';

export const users: Methods = {
  'users.info': {
    scopes: ['users:read'],
    tier: 'T4',
    run({ world, args }) {
      const user = world.workspace.users.get(args.required('user'));
      if (!user) throw new Refusal('user_not_found');
      return { user: userWire(world, user, world.scopes.has('users:read.email')) };
    },
  },
  'users.lookupByEmail': {
    scopes: ['users:read.email'],
    tier: 'T3',
    run({ world, args }) {
      const email = args.required('email').toLowerCase();
      const wires = [...world.workspace.users.values()]
        .filter(({ deleted }) => !deleted)
        .map((user) => userWire(world, user, true));
      const user = wires.find(({ profile }) => isObject(profile) && profile.email === email);
      if (!user) throw new Refusal('users_not_found');
      return { user };
    },
  },
  'users.list': {
    scopes: ['users:read'],
    tier: 'T2',
    needsTeam: true,
    run(call) {
      const { world, args } = call;
      const all = [...world.workspace.users.values()];
      const { items, cursor } = pageOf(all, call, args.int('limit', { default: 1000, max: 1000 }));
      const withEmail = world.scopes.has('users:read.email');
      return {
        members: items.map((user) => userWire(world, user, withEmail)),
        cache_ts: Math.floor(world.now() / 1000),
        response_metadata: { next_cursor: cursor },
      };
    },
  },
  'usergroups.list': {
    scopes: ['usergroups:read'],
    tier: 'T2',
    needsTeam: true,
    run({ world, args }) {
      const withUsers = args.bool('include_users') === true;
      return {
        usergroups: [...world.workspace.userGroups.values()].map((group) => ({
          id: group.id,
          team_id: world.workspace.team.id,
          is_usergroup: true,
          name: group.name,
          handle: group.handle,
          is_external: false,
          date_delete: 0,
          user_count: group.users.length,
          ...(withUsers && { users: group.users }),
        })),
      };
    },
  },
  'usergroups.users.list': {
    scopes: ['usergroups:read'],
    tier: 'T2',
    needsTeam: true,
    run({ world, args }) {
      const group = world.workspace.userGroups.get(args.required('usergroup'));
      if (!group) throw new Refusal('no_such_subteam');
      return { users: group.users };
    },
  },
};
