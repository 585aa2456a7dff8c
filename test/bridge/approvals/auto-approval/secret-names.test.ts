import { describe, expect, it } from 'vitest';
import { judgeGuarded } from '../../../../src/bridge/approvals/auto-approval/guarded.ts';
import { runsByItself } from '../../../../src/bridge/approvals/auto-approval/self-running.ts';

const HOME = '/home/agent/project';
const asks = (path: string, folder = HOME) => judgeGuarded({ tool: 'Read', input: { file_path: path } }, folder).asks;

const SECRETS = `
  .env .env.local .env.production .env~ .env-old .env_prod .env.bak .envrc prod.env app.env.local .dev.vars .prod.vars .dev.vars.local
  terraform.tfvars prod.auto.tfvars x.tfvars.json terraform.tfstate terraform.tfstate.backup .terraformrc credentials.tfrc.json
  id_rsa id_rsa_work id_ed25519 id_ed25519_sk id_ecdsa.bak id_github deploy_rsa deploy_key signing-key.txt ssh_host_rsa_key
  server.key server.pem tls.p12 a.pfx a.p8 putty.ppk app.jks release.keystore login.keychain-db a.keytab my.kdbx vault.kdb a.gpg a.asc
  private_key private-key.txt privateKey.json jwt.jwk client.ovpn work.tblk desk.rdp
  .secrets secrets secrets.yml secret.json client_secret.json clientSecret.json app.secrets.json prod-secrets.yaml credentials
  credentials.json credentials.xml my-credentials.txt aws-creds.ini db_password passwords.txt master.passwd passphrase
  service-account.json service_account_prod.json serviceAccountKey.json firebase-adminsdk-x1.json google-services.json auth.json
  oauth2.json kaggle.json token token.json .token access_token slack_token api_key api-keys.json key.json gha-creds-1.json
  .npmrc .yarnrc .yarnrc.yml .netrc _netrc .pgpass .pypirc .git-credentials .gitconfig .htpasswd .my.cnf .s3cfg .boto .dockercfg
  .curlrc .wgetrc pip.conf nuget.config rclone.conf ngrok.yml gradle.properties local.properties keystore.properties
  .mcp.json mcp.json claude_desktop_config.json .aider.conf.yml settings.local.json
  kubeconfig kubeconfig.yaml prod.kubeconfig admin.conf .kube/config .docker/config.json .aws/credentials .aws/config .ssh/config
  .gnupg/trustdb.gpg .config/gh/hosts.yml .azure/accessTokens.json .m2/settings.xml .gem/credentials .cargo/credentials.toml
  .bash_history .zsh_history .python_history .node_repl_history .psql_history .viminfo
  wp-config.php wp-config.php.bak LocalSettings.php database.yml config/database.yml appsettings.Production.json web.config
  secret_token.rb knife.rb filezilla.xml cookies.txt logins.json key4.db wallet.dat dump.har
  .vault-token .vault_pass.txt .sentryclirc sftp-config.json sftp.json .ftpconfig .authinfo id_rsa.txt id_rsa.gz .netrc.swp
  secrets/a.txt credentials/b.txt .secrets/c .ssh/id_work a/b/.env/c
`;
const CODE = `
  README.md src/main.ts package.json tsconfig.json src/secret-manager.ts src/password_reset.py lib/credential_store.rb
  Token.java src/tokens.ts docs/keys.md test/private_key_test.go environment.ts .github/workflows/ci.yml .gitignore .gitattributes
  Dockerfile docker-compose.yml config.json notes.txt data.csv keyboard.tsx monkey.js donkey.json history.md src/env/index.ts
  crypto/rsa/rsa.go src/ssh/client.ts id_rsa.pub order_history/list.ts styles/tokens.css locales/de.json migrations/001.sql
`;
const words = (list: string) => list.trim().split(/\s+/);

describe('a file name that usually holds secrets', () => {
  it.each(words(SECRETS))('%s needs approval', (path) => {
    expect(asks(path)).toBe(true);
    expect(asks(`${HOME}/deep/${path}`)).toBe(true);
    expect(asks(path.toUpperCase())).toBe(true);
  });

  it.each(words(CODE))('harmless name %s passes', (path) => {
    expect(asks(path)).toBe(false);
  });

  it('needs approval in every spelling a file system may accept', () => {
    for (const path of [
      '.ＥＮＶ',
      '.e\u200cnv',
      '.env.',
      '.env ',
      ' .env',
      '.ENV',
      'ＩＤ_rsa',
      'id_r\u0301sa',
      './/.env',
      '.env/',
    ]) {
      expect(asks(path)).toBe(true);
    }
  });
});

describe('files of git', () => {
  it.each([
    ...['.git//config', '.git/./config', './.git/config', '.git/config', '.GIT/config', '.Git/CONFIG', '.git./config'],
    ...['.git /config', '.g\u200cit/config', '.ｇit/config', '.git/config/', '.git\\config', 'a/../.git/config'],
    ...[
      '.git/modules/lib/config',
      '.git/worktrees/fix/config.worktree',
      '.git/worktrees/fix/HEAD/x',
      'lib/.git/config',
    ],
    ...[
      '.git/hooks/pre-commit',
      '.git/logs/HEAD',
      '.git/FETCH_HEAD',
      '.git/credentials',
      '.git/info/attributes',
      '.git',
    ],
    ...['.git/objects/ab/cd', '.git/index', '.git/HEAD/../config', 'vendor/lib.git/config', '.git/modules/lib/HEAD'],
  ])('%s needs approval', (path) => {
    expect(asks(path)).toBe(true);
    expect(judgeGuarded({ tool: 'Bash', input: { command: `cat '${path}'` } }, HOME).asks).toBe(true);
  });

  it.each(['.git/HEAD', '.git//HEAD', '.git/ORIG_HEAD', '.git/packed-refs', '.git/refs/heads/main', 'lib/.git/HEAD'])(
    '%s passes, as it only tells the current commit',
    (path) => expect(asks(path)).toBe(false),
  );

  it('working directory inside .git or secrets: needs approval; in worktrees: passes', () => {
    for (const folder of [
      '/srv/app/.git',
      '/srv/app/.git/modules/lib',
      '/srv/lib.git',
      '/home/a/.ssh',
      '/home/a/.AWS',
    ]) {
      expect(asks('config.txt', folder)).toBe(true);
    }
    for (const folder of ['/home', '/var/run/secrets', '/private/etc', '/ETC', '/srv/app/secrets']) {
      expect(asks('a.txt', folder)).toBe(true);
    }
    expect(asks('src/a.ts', '/srv/app/.letta/worktrees/fix')).toBe(false);
    expect(asks('/srv/app/.letta/worktrees/fix/src/a.ts', '/srv/app/.letta/worktrees/fix')).toBe(false);
  });
});

describe('files that run by themselves', () => {
  it.each(
    words(`
    .git/hooks/pre-commit .git/config .git .GIT/hooks/x .git//hooks/x sub/.git/hooks/x .gitmodules .gitattributes .husky/pre-commit
    .githooks/pre-push .pre-commit-config.yaml lefthook.yml .github/workflows/ci.yml .github/actions/x/action.yml .gitlab-ci.yml
    .circleci/config.yml Jenkinsfile azure-pipelines.yml .travis.yml .vscode/tasks.json .vscode/settings.json .idea/x.xml
    .devcontainer/devcontainer.json app.code-workspace .vimrc .exrc .dir-locals.el .envrc .bashrc .profile .zshenv mise.toml
    .mise.toml .claude/settings.json .letta/settings.json .cursor/mcp.json .mcp.json .yarn/releases/yarn.cjs .cargo/config.toml
    gradlew sitecustomize.py x.pth crontab hooks/post-checkout
  `),
  )('%s runs by itself', (path) => {
    expect(runsByItself(path)).toBe(true);
  });

  it.each(
    words('package.json Makefile src/hooks.ts .github/CODEOWNERS .github/ISSUE_TEMPLATE/bug.md README.md AGENTS.md'),
  )('%s does not', (path) => {
    expect(runsByItself(path)).toBe(false);
  });
});
