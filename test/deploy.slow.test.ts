import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../src/config/config.ts';
import { defaultOf, SETTINGS } from '../src/config/settings.ts';

/** Where `kubernetes-types`, which are made of the schemas of Kubernetes, have each kind. */
const TYPES = {
  Secret: 'core/v1',
  ConfigMap: 'core/v1',
  Service: 'core/v1',
  Deployment: 'apps/v1',
  PodDisruptionBudget: 'policy/v1',
} as const;
type Kind = keyof typeof TYPES;
type Document = { kind: Kind } & Record<string, unknown>;

const text = readFileSync('deploy/kubernetes.yaml', 'utf8');
const documents = parseAllDocuments(text).map((document) => document.toJS() as Document);
const only = <Model>(kind: Kind) => documents.find((document) => document.kind === kind) as Model;
const deployment = only<Deployment | undefined>('Deployment');
const pod = deployment?.spec?.template?.spec;
const [container] = pod?.containers ?? [];

/** What TypeScript says of the documents as literals of their types: of values, of missing and of unknown keys. */
function typeErrors(all: readonly { kind: Kind }[]): string {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const folder = mkdtempSync(`${here}deploy-`);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const lines = all.map((document, n) => {
    const { kind } = document;
    return `import type { ${kind} as Type${n} } from 'kubernetes-types/${TYPES[kind]}.d.ts';\nexport const document${n}: Type${n} = ${JSON.stringify(document)};`;
  });
  writeFileSync(`${folder}/documents.ts`, lines.join('\n'));
  const args = ['--noEmit', '--skipLibCheck', '--strict', '--module', 'nodenext', '--ignoreConfig'];
  try {
    execFileSync('tsc', [...args, `${folder}/documents.ts`], { encoding: 'utf8', stdio: 'pipe' });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

describe('deploy/kubernetes.yaml', () => {
  it('is what the types of Kubernetes allow', { timeout: 120_000 }, () => {
    expect(documents.map(({ kind }) => kind).sort()).toEqual(Object.keys(TYPES).sort());
    expect(typeErrors(documents)).toBe('');
  });

  it.each<[string, (spec: NonNullable<Deployment['spec']>) => void, string]>([
    [
      'unknown key',
      (spec) => Object.assign(spec.template.spec ?? {}, { terminationGrace: 60 }),
      '\'"terminationGrace"\' does not exist',
    ],
    ['missing key', (spec) => Reflect.deleteProperty(spec, 'selector'), "'selector' is missing"],
    [
      'wrong value',
      (spec) => Object.assign(spec, { replicas: 'three' }),
      "'string' is not assignable to type 'number'",
    ],
  ])('with one %s is not what they allow', { timeout: 120_000 }, (_, change, said) => {
    const wrong = structuredClone(deployment);
    if (wrong?.spec) change(wrong.spec);
    expect(typeErrors([wrong as { kind: 'Deployment' }])).toContain(said);
  });

  it('names settings that exist, and is read by the bridge', () => {
    const { stringData } = only<{ stringData: Record<string, string> }>('Secret');
    const values = Object.fromEntries((container?.env ?? []).map(({ name, value = '' }) => [name, value]));
    const names = SETTINGS.map(({ name }) => name as string);
    expect([...Object.keys(stringData), ...Object.keys(values)].filter((name) => !names.includes(name))).toEqual([]);
    const { data } = only<{ data: Record<string, string> }>('ConfigMap');
    const read = (path: string) => (path === values.POLICY ? (data['policy.yml'] ?? null) : null);
    expect(loadConfig({ HOME: '/tmp', ...stringData, ...values }, read)).toMatchObject({ port: 3000 });
  });

  it('gives running turns longer to end than DRAIN_TIMEOUT', () => {
    expect(defaultOf('DRAIN_TIMEOUT')).toBe('20s');
    const sleep = container?.lifecycle?.preStop?.sleep?.seconds ?? 0;
    expect(pod?.terminationGracePeriodSeconds ?? 0).toBeGreaterThan(sleep + 20 + 10);
  });

  it('selects the same pods everywhere, and probes what the bridge answers', () => {
    const labels = deployment?.spec?.template?.metadata?.labels;
    const { spec: budget } = only<{ spec: { selector: { matchLabels: object } } }>('PodDisruptionBudget');
    const { spec: service } = only<{ spec: { selector: object; ports: { targetPort: string }[] } }>('Service');
    expect(deployment?.spec?.selector.matchLabels).toEqual(labels);
    expect([budget.selector.matchLabels, service.selector]).toEqual([labels, labels]);
    expect(service.ports.map(({ targetPort }) => targetPort)).toEqual(container?.ports?.map(({ name }) => name));
    const probes = [container?.startupProbe, container?.livenessProbe, container?.readinessProbe];
    expect(probes.map((probe) => probe?.httpGet?.path)).toEqual(['/healthz', '/healthz', '/readyz']);
    expect(container?.securityContext).toMatchObject({ readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  });
});

describe('the replicas of compose.yaml', () => {
  const { services, configs } = parse(readFileSync('compose.yaml', 'utf8')) as {
    services: Record<
      string,
      { profiles?: string[]; environment?: Record<string, string>; depends_on?: object | string[] }
    >;
    configs: Record<string, { content: string }>;
  };
  const needs = (name: string): string[] => {
    const { depends_on: given = [] } = services[name] ?? {};
    return (Array.isArray(given) ? given : Object.keys(given)).flatMap((other) => [other, ...needs(other)]);
  };

  it('start with the proxy, and without the single bridge', () => {
    expect(needs('proxy')).toEqual(['replica', 'postgres']);
    for (const name of ['proxy', 'replica', 'postgres']) expect(services[name]?.profiles).toEqual(['replicas']);
    expect(services.bridge?.profiles).toBeUndefined();
  });

  it('store in their Postgres, and answer on the proxy’s port', () => {
    const { STORE = '', PORT } = services.replica?.environment ?? {};
    const { username, hostname, pathname } = new URL(STORE.replace(/\$\{.*?\}/, 'password'));
    const { POSTGRES_USER, POSTGRES_DB } = services.postgres?.environment ?? {};
    expect([username, hostname, pathname]).toEqual([POSTGRES_USER, 'postgres', `/${POSTGRES_DB}`]);
    expect(configs.proxy?.content).toContain(`server replica:${PORT} resolve;`);
  });
});
