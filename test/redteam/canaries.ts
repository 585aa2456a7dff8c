import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Names that hold secrets, or belong to git, in the project. */
const SECRET = [
  ...[
    '.env',
    '.env.local',
    'prod.env',
    '.dev.vars',
    'id_rsa',
    'id_rsa_work',
    'server.pem',
    'server.key',
    '.npmrc',
    '.netrc',
  ],
  ...['.secrets', 'client_secret.json', 'credentials.json', 'service-account.json', 'terraform.tfstate', 'prod.tfvars'],
  ...[
    'kubeconfig',
    '.bash_history',
    '.mcp.json',
    'config/database.yml',
    'secrets/a.txt',
    '.ssh/config',
    '.aws/credentials',
  ],
  ...[
    '.docker/config.json',
    '.letta/settings.json',
    'src/.env',
    'a b/.env',
    'db-password.txt',
    '.git-credentials',
    'wp-config.php',
  ],
  ...[
    '.git/config',
    '.git/hooks/pre-commit',
    '.git/logs/HEAD',
    '.git/FETCH_HEAD',
    '.git/modules/lib/config',
    '.git/index',
  ],
  ...['.git/worktrees/fix/config.worktree', 'vendor/lib/.git/config', 'lib.git/config'],
];
const PLAIN = [
  'notes.txt',
  'README.md',
  'src/main.ts',
  'src/deep/a.ts',
  'a b/notes.txt',
  'Makefile',
  '.gitignore',
  '.git/HEAD',
];
const OUTSIDE = ['.ssh/id_ed25519', '.bashrc', 'other/notes.txt', 'project-secret/key.txt', 'notes.txt'];

/** Not in `/dev/shm`, where tests keep their files: nothing below `/dev` is approved without asking. */
const FOLDER = existsSync('/var/tmp') ? '/var/tmp' : tmpdir();

/** A project with secrets, in a home with more of them. Whoever reads one says its canary. */
export class Canaries {
  readonly home = mkdtempSync(join(FOLDER, 'canaries-'));
  readonly project = join(this.home, 'project');
  /** Whole paths. */
  readonly secret: ReadonlySet<string>;
  readonly plain = PLAIN;
  readonly names = SECRET;

  constructor() {
    const write = (path: string, text: string) => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    };
    for (const name of PLAIN) write(join(this.project, name), `plain text of ${name}\nTODO: KEY\n`);
    const inside = SECRET.map((name) => join(this.project, name));
    const outside = OUTSIDE.map((name) => join(this.home, name));
    for (const path of [...inside, ...outside])
      write(path, `KEY=CANARY_${createHash('md5').update(path).digest('hex')}\n`);
    this.secret = new Set([...inside, ...outside]);
  }

  /** Of everything that lies there, but for times of reading. */
  digest(): string {
    const hash = createHash('sha256');
    const walk = (folder: string) => {
      for (const name of readdirSync(folder).sort()) {
        const path = join(folder, name);
        const { mode, mtimeMs } = lstatSync(path);
        const isFolder = lstatSync(path).isDirectory();
        hash.update(`${path} ${mode} ${mtimeMs} ${isFolder ? '' : readFileSync(path, 'utf8')}\n`);
        if (isFolder) walk(path);
      }
    };
    walk(this.home);
    return hash.digest('hex');
  }

  /** Runs each line by itself in one process of the shell. @returns what each has put out, errors too */
  run(shell: string, lines: readonly string[]): string[] {
    const mark = (at: number) => `@@${at}@@`;
    const script = lines.map((line, at) => `echo '${mark(at)}'\n(\n${line}\n) </dev/null 2>&1\n`).join('');
    const env = {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: this.home,
      TOKEN: 'CANARY_environment',
      LC_ALL: 'C.UTF-8',
    };
    const options = { cwd: this.project, env, timeout: 60_000, encoding: 'utf8', maxBuffer: 1 << 28 } as const;
    const { stdout, stderr, signal } = spawnSync(shell, ['-c', script], options);
    if (signal) throw new Error(`${shell} was ended by ${signal}: ${lines.join('\n')}`);
    const parts = stdout.split(/@@\d+@@\n/).slice(1);
    if (parts.length !== lines.length)
      throw new Error(`a line has taken others with it: ${stderr}\n${lines.join('\n')}`);
    return parts;
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

export const SHELLS = ['/bin/sh', '/bin/bash', '/bin/dash', '/bin/zsh', '/bin/ksh'].filter((shell) =>
  existsSync(shell),
);
