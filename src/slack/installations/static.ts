import type { Identity } from '../api/identity.ts';
import { fixedToken } from '../api/token-source.ts';
import { isAskedFor, type OurIds } from '../inbound/ours.ts';
import type { Installation, Installations } from './installations.ts';

/** The installation of `SLACK_BOT_TOKEN`. @param identity what Slack says about that token */
export function staticInstallation(botToken: string, identity: Identity): Installation {
  // Of an org-wide token, Slack names the organisation as the team (docs/slack.md, Learned since).
  const isEnterpriseInstall = identity.isEnterpriseInstall ?? identity.teamId.startsWith('E');
  return {
    workspace: identity.teamId,
    source: 'static',
    teamId: isEnterpriseInstall ? null : identity.teamId,
    enterpriseId: isEnterpriseInstall ? identity.teamId : identity.enterpriseId,
    isEnterpriseInstall,
    openToken: () => fixedToken(botToken),
  };
}

/** What the stored installations give to {@link joinInstallations}. */
type Stored = Pick<Installations, 'find' | 'get' | 'onChanged'>;

/**
 * The installation of `SLACK_BOT_TOKEN` and those that are stored; where both are of one workspace, the first counts.
 * @param configured `null`: there is none
 * @param stored `null`: OAuth is off
 */
export function joinInstallations(configured: Installation | null, stored: Stored | null): Installations {
  const ids = configured && idsOf(configured);
  return {
    static: configured,
    async find(query) {
      if (ids && isAskedFor(ids, query)) return configured;
      return stored ? stored.find(query) : null;
    },
    async get(workspace) {
      if (workspace === configured?.workspace) return configured;
      return stored ? stored.get(workspace) : null;
    },
    onChanged: (listener) => stored?.onChanged(listener) ?? (() => {}),
  };
}

const idsOf = ({ workspace, enterpriseId, isEnterpriseInstall }: Installation): OurIds => ({
  teamId: workspace,
  enterpriseId,
  isEnterpriseInstall,
});
