import { foldParts, isGitFolder } from './secret-names.ts';

/**
 * Files whose content runs, or decides what runs, without being called: when a person commits, pushes, opens
 * the folder, changes into it or starts a shell or an agent there. Not here: what runs when it is called by name
 * (`package.json`, `Makefile`, tests), and what only tells agents what to do (`AGENTS.md`).
 */
const NAMES: readonly RegExp[] = [
  // Version control and its hooks.
  /^\.(?:hg|svn|bzr|jj)$/,
  /^\.git(?:modules|attributes|config|lab)$|^\.lfsconfig$/,
  /^\.?(?:husky|huskyrc.*|git-?hooks|hooks|lefthook.*|pre-commit-(?:config|hooks)\.ya?ml|overcommit\.yml|simple-git-hooks.*|captainhook.*|lintstagedrc.*|lint-staged\.config\..*)$/,
  // Build servers.
  /^\.gitlab-ci.*|^\.(?:circleci|buildkite|woodpecker.*|drone\.ya?ml|travis\.ya?ml|teamcity|semaphore|tekton|forgejo|gitea|cirrus\.yml|appveyor\.yml)$/,
  /^(?:jenkinsfile.*|appveyor\.yml|azure-pipelines.*|bitbucket-pipelines.*|cloudbuild\.ya?ml|buildspec\.ya?ml|codemagic\.yaml|netlify\.toml|vercel\.json|render\.yaml|fly\.toml|app\.ya?ml|wercker\.yml)$/,
  // Editors and workspaces.
  /^\.(?:vscode|idea|devcontainer(?:\.json)?|zed|nova|fleet|theia|vim|vimrc|exrc|nvimrc|nvim\.lua|lvimrc|dir-locals\.el|emacs.*|gitpod.*|replit|codesandbox)$/,
  /^(?:devcontainer\.json|.*\.code-workspace|.*\.sublime-project|\.?_vimrc|replit\.nix)$/,
  // Shells and log-ins.
  /^\.?(?:bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshrc|zshenv|zprofile|zlogin|zlogout|kshrc|cshrc|tcshrc|login|logout|xprofile|xinitrc|xsession|xsessionrc|inputrc|pam_environment)$/,
  /^(?:config\.fish|.*profile\.ps1|\.?mise(?:\..*)?\.toml|\.autoenv.*|\.envrc|crontab.*|autostart|launchagents|launchdaemons|.*\.desktop|.*\.(?:service|timer|plist))$/,
  // Agents.
  /^\.(?:letta|claude|codex|cursor|gemini|continue|windsurf|aider.*|opencode|agents)$|^\.?mcp.*\.json$/,
  // Package managers and interpreters, on whatever is run next.
  /^(?:\.yarn|\.pnp\..*|\.?pnpmfile\.c?js|\.bundle|\.cargo|\.mvn|gradlew(?:\.bat)?|mvnw(?:\.cmd)?|gradle-wrapper\..*|sitecustomize\.py|usercustomize\.py|.*\.pth)$/,
];

/** The folders of `.github` with files that run; its other files are texts. */
const IN_GITHUB = /^(?:workflows|actions)$/;

/** Whether a change of this file runs by itself, at this path or below a folder on the way. @param path relative to the working directory */
export function runsByItself(path: string): boolean {
  const parts = foldParts(path);
  return parts.some(
    (part, at) =>
      isGitFolder(part) ||
      NAMES.some((pattern) => pattern.test(part)) ||
      (parts[at - 1] === '.github' && IN_GITHUB.test(part)),
  );
}
