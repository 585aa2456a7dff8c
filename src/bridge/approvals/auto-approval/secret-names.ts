/**
 * Names of files and folders that usually hold secrets. There is no maintained list of such names: gitrob and shhgit, which
 * had the best known, have rested for years, and gitleaks and trufflehog look into files instead. So this one is ours, put
 * together from the names in gitrob's `signatures.go` and shhgit's `config.yaml` (both MIT), GitHub's gitignore templates,
 * and the manuals of the tools that are named. It errs towards asking. It cannot know a secret in a file whose name says
 * nothing (`config.json`, `application.yml`, `settings.py`).
 *
 * All patterns are for names as {@link foldName} leaves them.
 */

/** Folders whose files are all secret. */
const FOLDERS: readonly RegExp[] = [
  /^\.(?:ssh|gnupg|gpg|password-store|pki|kube|minikube|docker|chef|vagrant|config|letta|m2|gem|subversion)$/,
  /^\.(?:aws|azure|gcloud|gsutil|oci|bluemix|ibmcloud|pulumi|terraform\.d|fly|netlify|railway|heroku|wrangler|vercel)$/,
  /^\.(?:kaggle|huggingface|snowsql|dbt|ngrok2?|doctl|mozilla|thunderbird|electrum|bitcoin|ethereum|purple|irssi)$/,
  /^[._]?(?:secrets?|credentials?|creds)$/,
];

/** Files, and folders that are really one file (`x.keychain`). */
const NAMES: readonly RegExp[] = [
  ...FOLDERS,
  /^[._]?(?:secrets?|credentials?|creds)\..*$/,
  /^\.secrets?(?![a-z0-9])/,
  // Environments and variables.
  /^\.env(?![a-z0-9])/,
  /\.env(?:\.[\w.-]+)?$/,
  /^\.(?:envrc|flaskenv|renviron|[\w-]+\.vars)(?:\..*)?$/,
  /\.tf(?:vars(?:\.json)?|state(?:\..*)?|plan)$/,
  /^(?:\.terraformrc|terraform\.rc)$/,
  // Keys, key stores, password stores, VPN and remote desktop.
  /\.(?:pem|keys?|p8|p12|pfx|pkcs12|pk8|ppk|jks|jceks|bcfks|keystore|keyring|keypair|keychain(?:-db)?|keytab|jwks?|der)$/,
  /\.(?:kdbx?|kwallet|psafe3|agilekeychain|opvault|1pif|gpg|pgp|asc|age|bek|fve|tpm|wallet|mobileconfig)$/,
  /\.(?:ovpn|tblk|rdp|rdg|cscfg|publishsettings|pubxml(?:\.user)?|har|netrc|kubeconfig)$/,
  /\.(?:secrets?|credentials?|creds|passwd|passwords?|tokens?)$/,
  /^id_(?:rsa|dsa|ecdsa|ed25519|xmss)(?!.*\.pub$)/,
  /^ssh_host_.*_key$/,
  // Log-ins of tools.
  /^[._]?(?:npmrc|yarnrc(?:\.yml)?|netrc|pgpass(?:\.conf)?|pypirc|git-credentials|gitconfig|htpasswd|htdigest|hgrc)$/,
  /^\.?(?:curlrc|wgetrc|condarc|my\.cnf|mylogin\.cnf|authinfo|boto|s3cfg|s3curl|tugboat|trc|databrickscfg|bigqueryrc)$/,
  /^\.?(?:ftpconfig|ftppass|remote-sync\.json|sftp(?:-config)?\.json|esmtprc|msmtprc|fetchmailrc|muttrc|mailrc)$/,
  /^\.?(?:smbcredentials|davfs2|rhosts|shosts|xauthority|iceauthority|sentryclirc|clasprc\.json|modal\.toml)$/,
  /^(?:pip\.(?:conf|ini)|nuget\.config|rclone\.conf|ngrok\.ya?ml|profiles\.ya?ml|settings-security\.xml)$/,
  /^(?:local|gradle|key|keystore|signing|release)\.properties$/,
  /^\.?mcp(?:[._-]config)?\.json$/,
  /^(?:claude_desktop_config\.json|\.claude\.json|\.aider\.conf\.ya?ml|settings\.local\.json)$/,
  /^\.?kube-?config(?:\..*)?$/,
  /^(?:(?:admin|kubelet|controller-manager|scheduler)\.conf|k3s\.ya?ml|talosconfig|\.?dockercfg|\.?dockerconfig(?:json)?)$/,
  /^\.?vault[._-]?(?:pass|token|id)|^vault\.(?:ya?ml|json)$/,
  // What people typed.
  /^\.[\w-]*history$|^(?:bash|zsh|sh|mysql|psql|sqlite|irb|python|node_repl|rediscli|mongo)_history$/,
  /^\.(?:lesshst|viminfo|zsh_sessions|bash_sessions)$/,
];

/** Names that count only at the end of a path, because folders of these names hold other things. */
const FILES: readonly RegExp[] = [
  /^env$|^(?:env|environment)[._-](?:local|dev|development|prod|production|staging|test)$/,
  /^id_[\w-]+$/,
  /[._-](?:rsa|dsa|ecdsa|ed25519)(?:_sk)?$/,
  /^(?:g?shadow-?|master\.passwd|proftpdpasswd|otr\.private_key|wallet\.dat|utc--.*)$/,
  /^(?:(?:access|refresh|api|auth|\.)?[._-]?tokens?)(?:\.(?:txt|json|pickle|ya?ml|toml|ini))?$|[._-]token$/,
  /^(?:.*[._-])?(?:api)?keys?\.(?:json|txt|ya?ml|toml|ini|cfg|conf|b64)$|^\.?api[._-]?keys?$/,
  // Accounts of clouds and services.
  /service[._ -]?account.*\.json$|account[._-]?key.*\.json$/,
  /^(?:auth|oauth.*|.*adminsdk.*|google-services|kaggle|firebase-tools|id)\.json$|^googleservice-info\.plist$/,
  // Applications.
  /^(?:wp-config.*\.php|localsettings\.php|configuration\.php|config\.inc\.php|local_settings\.py|knife\.rb|secret_token\.rb)$/,
  /^(?:database|databases|db|mongoid)\.(?:ya?ml|json|ini|toml|conf)$/,
  /^(?:appsettings(?:\..+)?\.json|web\.config|app\.config|connectionstrings?\.(?:config|json))$/,
  /^application-(?:prod|production|local|staging|secrets?).*\.(?:properties|ya?ml)$/,
  /^(?:filezilla|sitemanager|recentservers)\.xml$|^\.?dbeaver-data-sources|^data-?sources(?:\.local)?\.(?:xml|json)$/,
  /^(?:robomongo\.json|ventrilo_srv\.ini|cookies(?:\.(?:txt|sqlite|json))?|login data|logins\.json|signons\.sqlite|key[34]\.db)$/,
];

/** Words that count anywhere in the name of a file that is not source code: `client_secret.json`, `deploy_key`. */
const WORDS =
  /secret|credential|password|passwd|passphrase|private[._ -]?key|keyfile|mnemonic|seed[._ -]?phrase|(?:^|[._ -])creds|(?:deploy|signing|host|master|encryption|access|account)[._ -]?key/;
const SOURCE =
  /\.(?:[cm]?[jt]sx?|pyi?|rb|go|rs|java|kts?|scala|groovy|c|h|cc|cpp|cxx|hpp|cs|fs|vb|swift|m|mm|dart|php|pl|pm|lua|r|jl|ex|exs|erl|clj|cljs|hs|elm|ml|mli|nim|zig|sol|sh|bash|zsh|fish|ps1|psm1|bat|vue|svelte|astro|html?|css|scss|sass|less|md|mdx|rst|adoc|proto|graphql|gql|snap|feature|svg|png|jpe?g|gif|webp)$/;

/** Endings of copies: a name is judged without them, too. */
const COPY =
  /(?:~|[ ._-]?\(?(?:bak|backup|old|orig|original|save|saved|swp|swo|tmp|temp|copy|dist|gz|bz2|xz|zst|zip|tar|tgz|7z|enc|b64|txt|\d{1,14})\)?)$/;

/** Git's own files that may be read: the branches only, because its settings and logs hold addresses with passwords. */
const OPEN_IN_GIT = /^(?:(?:orig_|merge_|cherry_pick_|revert_)?head|packed-refs|refs(?:\/.*)?)$/;

/**
 * Whether a file, or a folder on the way to it, is one that usually holds secrets (`.env`, `id_rsa`, `.ssh`), or belongs
 * to git itself.
 * @param path relative to the working directory
 */
export function looksSecret(path: string): boolean {
  const parts = foldParts(path);
  const git = parts.findIndex(isGitFolder);
  if (git >= 0 && !OPEN_IN_GIT.test(parts.slice(git + 1).join('/'))) return true;
  const last = possibleNames(parts.at(-1) ?? '');
  return (
    [...new Set(parts)].some((part) =>
      possibleNames(part).some((name) => NAMES.some((pattern) => pattern.test(name))),
    ) || last.some((name) => FILES.some((pattern) => pattern.test(name)) || (WORDS.test(name) && !SOURCE.test(name)))
  );
}

/** Whether all that lies in a folder of this name is secret. @param name one part of a path */
export function isSecretFolder(name: string): boolean {
  const folded = foldName(name);
  return isGitFolder(folded) || FOLDERS.some((pattern) => pattern.test(folded));
}

/** Whether it is `.git` (a folder, in a worktree a file) or a bare repository. @param folded as {@link foldName} leaves it */
export function isGitFolder(folded: string): boolean {
  return folded.endsWith('.git');
}

/** The parts of a path, each as {@link foldName} leaves it. */
export function foldParts(path: string): string[] {
  return path
    .split('/')
    .map(foldName)
    .filter((part) => part !== '' && part !== '.');
}

/**
 * A name reduced to what every file system may take for the same: without capitals, accents and invisible characters
 * (which HFS+ ignores), and without dots and blanks at its end (which Windows ignores).
 */
function foldName(name: string): string {
  const folded = name
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, '')
    .toLowerCase()
    .trim();
  return folded.replace(/[\s.]+$/u, '') || folded;
}

/** The name, and the names that it may be a copy of. */
function possibleNames(folded: string): string[] {
  const found = [folded];
  for (let name = folded; found.length < 40; ) {
    const without = name.replace(COPY, '');
    if (without === name || without === '') break;
    name = without;
    // `.prod.env.swp` is what vim makes of `prod.env`, `..env.swp` of `.env`.
    found.push(name, name.replace(/^\./, ''));
  }
  return found;
}
