import { z } from 'zod';

/** Our app and workspace; `null` or left out: not known. */
export interface OurIds {
  teamId: string;
  /** The organisation on Enterprise Grid. */
  enterpriseId?: string | null | undefined;
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
 * Why a delivery is not for our app in our workspace; `null`: it is for us. Never throws.
 *
 * An event in a shared channel may come from another workspace: it is for us when `authorizations`, `context_team_id`
 * or `team_id` names us (docs/slack.md, HTTP delivery). For a click or a modal `team` decides: it is the app's
 * workspace even when somebody of another organisation clicks. It is missing when the app is installed for a whole
 * organisation; then the organisation or the person's team decides.
 */
export function whyForeign(body: unknown, us: OurIds): Foreign | null {
  const parsed = delivery.safeParse(body);
  if (!parsed.success) return 'no_workspace';
  const app = parsed.data.api_app_id || parsed.data.view?.app_id;
  if (us.appId && app && app !== us.appId) return 'other_app';
  return parsed.data.event ? whyForeignEvent(parsed.data, us) : whyForeignInteraction(parsed.data, us);
}

function whyForeignEvent({ authorizations, context_team_id, team_id }: Delivery, { teamId, enterpriseId }: OurIds) {
  const installed = authorizations ?? [];
  const named = [...installed.map((each) => each.team_id), context_team_id, team_id].filter(Boolean);
  const forAll = installed.filter((each) => each.is_enterprise_install === true && each.enterprise_id);
  if (named.includes(teamId) || forAll.some((each) => each.enterprise_id === enterpriseId)) return null;
  return named.length + forAll.length > 0 ? 'other_workspace' : 'no_workspace';
}

function whyForeignInteraction(body: Delivery, { teamId, enterpriseId }: OurIds): Foreign | null {
  const { team, team_id, view, enterprise, enterprise_id, is_enterprise_install } = body;
  const organisation = enterprise?.id || enterprise_id;
  const named = view?.app_installed_team_id || team?.id || team_id;
  if (named) return named === teamId ? null : 'other_workspace';
  if (organisation) return is_enterprise_install && organisation === enterpriseId ? null : 'other_workspace';
  const home = teamOf(body.user);
  if (home === null) return 'no_workspace';
  return home === teamId ? null : 'other_workspace';
}

function teamOf(user: unknown): unknown {
  return typeof user === 'object' && user !== null && 'team_id' in user ? (user.team_id ?? null) : null;
}
