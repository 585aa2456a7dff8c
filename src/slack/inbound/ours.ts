import { z } from 'zod';
import type { InstallationQuery } from '../installations/installations.ts';

/** Our app and workspace; `null` or left out: not known. */
export interface OurIds {
  teamId: string;
  /** The organisation on Enterprise Grid. */
  enterpriseId?: string | null | undefined;
  /** Whether the app is installed for the whole organisation; left out: not known. */
  isEnterpriseInstall?: boolean | undefined;
  appId?: string | null | undefined;
}

/** Why a delivery is not for us. `no_workspace`: it names no workspace, which a real delivery always does. */
export type Foreign = 'other_app' | 'other_workspace' | 'no_workspace';

const id = z.string().nullish();
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')]).nullish();

/** The fields by which any kind of delivery tells whose it is: events, clicks, modals, menus, shortcuts, commands. */
const delivery = z.looseObject({
  event: z.looseObject({}).nullish(),
  api_app_id: id,
  team_id: id,
  enterprise_id: id,
  context_team_id: id,
  authorizations: z.array(z.looseObject({ team_id: id, enterprise_id: id, is_enterprise_install: flag })).nullish(),
  team: z.looseObject({ id }).nullish(),
  enterprise: z.looseObject({ id }).nullish(),
  is_enterprise_install: flag,
  view: z.looseObject({ app_installed_team_id: id, app_id: id }).nullish(),
});
type Delivery = z.infer<typeof delivery>;

/**
 * Which installations of the app a delivery may be for, the likeliest first; none: it names no workspace. Never throws.
 *
 * An event in a shared channel may come from another workspace: it is for those that `authorizations`,
 * `context_team_id` or `team_id` name (docs/slack.md, HTTP delivery). For a click or a modal `team` decides: it is the
 * app's workspace even when somebody of another organisation clicks. It is missing when the app is installed for a whole
 * organisation; then the organisation or the person's team decides. A command names the team in which it was given, and
 * the organisation when the app is installed for all of it.
 */
export function installationQueries(body: unknown): InstallationQuery[] {
  const parsed = delivery.safeParse(body);
  if (!parsed.success) return [];
  return parsed.data.event ? queriesOfEvent(parsed.data) : queriesOfInteraction(parsed.data);
}

/** The app that a delivery names; `null`: none. */
export function appOf(body: unknown): string | null {
  const { api_app_id, view } = delivery.safeParse(body).data ?? {};
  return api_app_id || view?.app_id || null;
}

/** Whether an installation is the one that is asked for. */
export function isAskedFor(us: OurIds, { teamId, enterpriseId, isEnterpriseInstall }: InstallationQuery): boolean {
  if (!isEnterpriseInstall) return teamId === us.teamId;
  return us.isEnterpriseInstall !== false && enterpriseId === us.enterpriseId;
}

/** Why a delivery is not for our app in our workspace; `null`: it is for us. Never throws. */
export function whyForeign(body: unknown, us: OurIds): Foreign | null {
  const app = appOf(body);
  if (us.appId && app && app !== us.appId) return 'other_app';
  const queries = installationQueries(body);
  if (queries.some((query) => isAskedFor(us, query))) return null;
  return queries.length > 0 ? 'other_workspace' : 'no_workspace';
}

const teamQuery = (teamId: string): InstallationQuery => ({ teamId, enterpriseId: null, isEnterpriseInstall: false });
const organisationQuery = (enterpriseId: string): InstallationQuery => ({
  teamId: null,
  enterpriseId,
  isEnterpriseInstall: true,
});

function queriesOfEvent({ authorizations, context_team_id, team_id }: Delivery): InstallationQuery[] {
  const installed = authorizations ?? [];
  return [
    ...installed.flatMap(({ is_enterprise_install, enterprise_id }) =>
      is_enterprise_install === true && enterprise_id ? organisationQuery(enterprise_id) : [],
    ),
    ...[...installed.map((each) => each.team_id), context_team_id, team_id].flatMap((id) => (id ? teamQuery(id) : [])),
  ];
}

function queriesOfInteraction(body: Delivery): InstallationQuery[] {
  const { team, team_id, view, enterprise, enterprise_id, is_enterprise_install } = body;
  const organisation = enterprise?.id || enterprise_id;
  const named = view?.app_installed_team_id || team?.id || team_id;
  const forAll = is_enterprise_install && organisation ? [organisationQuery(organisation)] : [];
  if (named) return [...forAll, teamQuery(named)];
  // An organisation that is not said to have the app as a whole is nobody's workspace.
  if (organisation) return is_enterprise_install ? forAll : [teamQuery(organisation)];
  const home = teamOf(body.user);
  return home ? [teamQuery(home)] : [];
}

function teamOf(user: unknown): string | null {
  if (typeof user !== 'object' || user === null || !('team_id' in user)) return null;
  return typeof user.team_id === 'string' ? user.team_id : null;
}
