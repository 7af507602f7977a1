import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { parseSize } from '../lib/base/units.ts'
import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { mistakesIn } from './support/kubernetes-schema.ts'

// The manifests without a cluster: Kubernetes' own schemas, and what the parts must agree on.

const FOLDER = join(import.meta.dirname, '../docker/kubernetes')
const files = readdirSync(FOLDER).filter(name => name.endsWith('.yaml'))
const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8')

type Labels = Readonly<Record<string, string>>

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number }
}

interface Container {
  readonly name: string
  readonly restartPolicy?: string
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } }
  readonly volumeMounts: readonly {
    readonly name: string
    readonly mountPath: string
    readonly subPath?: string
  }[]
  readonly securityContext?: object
  readonly resources: { readonly requests: Labels; readonly limits: Labels }
}

interface Volume {
  readonly name: string
  readonly emptyDir?: { readonly sizeLimit: string }
  readonly configMap?: { readonly name: string }
  readonly secret?: { readonly secretName: string; readonly items: readonly { readonly key: string }[] }
  readonly persistentVolumeClaim?: { readonly claimName: string }
}

interface Pod {
  readonly terminationGracePeriodSeconds: number
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly securityContext: object
  readonly initContainers: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly Volume[]
}

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly data?: Readonly<Record<string, string>>
  readonly spec: {
    readonly type?: string
    readonly replicas?: number
    readonly externalTrafficPolicy?: string
    readonly selector: Labels & { readonly matchLabels?: Labels }
    readonly podSelector?: { readonly matchLabels: Labels }
    readonly ports?: readonly { readonly targetPort: string }[]
    readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: Pod }
  }
}

function read(file: string): Manifest[] {
  const documents = parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8'))
  if (!Array.isArray(documents)) throw new Error(`${file} is empty`)
  const errors = documents.flatMap(document => [...document.errors, ...document.warnings])
  if (errors.length > 0) throw new Error(`${file}: ${errors.join('\n')}`)
  return documents.map(document => document.toJS() as Manifest)
}

const ofKind = (manifests: readonly Manifest[], kind: string) => manifests.filter(it => it.kind === kind)
const containersOf = ({ initContainers, containers }: Pod) => [...initContainers, ...containers]
const has = (labels: Labels, wanted: Labels) =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value)

/** The container of a file that runs Causeway, and its pod. */
function front(manifests: readonly Manifest[]): { readonly pod: Pod; readonly container: Container } {
  for (const { spec } of ofKind(manifests, 'Deployment')) {
    const container = containersOf(spec.template.spec).find(({ name }) => name === 'causeway')
    if (container !== undefined) return { pod: spec.template.spec, container }
  }
  throw new Error('no container is called causeway')
}

/** Writes a file's configuration as the pod sees it, with its folders and the secret. */
function mount(manifests: readonly Manifest[], folder: string): string {
  const [text = ''] = ofKind(manifests, 'ConfigMap').flatMap(({ data }) => data?.['causeway.toml'] ?? [])
  for (const name of ['config', 'static/admin', 'media', 'run'])
    mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'run/token'), 'a-token-of-the-test\n')
  writeFileSync(join(folder, 'static/site.css'), '')
  const here = text.replaceAll('/srv/', `${folder}/`).replace('/run/secrets/causeway', `${folder}/run`)
  writeFileSync(join(folder, 'config/causeway.toml'), here)
  return join(folder, 'config')
}

async function snapshotOf(config: string): Promise<Snapshot> {
  const loaded = await loadConfig(config, {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.snapshot
}

t.test('the schemas find wrong types, missing and unknown keys', async t => {
  const policy = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'x' } }
  t.same(mistakesIn({ ...policy, spec: { minAvailable: 1 } }), [])
  t.same(mistakesIn({ ...policy, spec: { minAvailible: 1 } }), [
    '.spec.minAvailible is not known to Kubernetes',
  ])
  t.match(mistakesIn({ ...policy, spec: { minAvailable: [] } }), [/minAvailable/])
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'x' },
    spec: { ports: [{ prot: 80 }] },
  }
  t.match(mistakesIn(service), [/port/])
  t.match(mistakesIn({ ...policy, kind: 'PodDisruptionBugdet' }), [/not known here/])
})

t.test('there are manifests', async t => {
  t.same(files.sort(), ['sidecar.yaml', 'standalone.yaml'])
  t.ok(existsSync(join(FOLDER, 'README.md')))
})

for (const file of files) {
  const manifests = read(file)

  t.test(`${file}: every manifest is one by Kubernetes' schemas`, async t => {
    for (const it of manifests) t.same(mistakesIn(it), [], `${it.kind} ${it.metadata.name}`)
  })

  t.test(`${file}: the configuration passes the check, without a warning`, async t => {
    const config = mount(manifests, t.testdir({}))
    // Not the command: it would try the ports of a pod on this machine.
    const loaded = await loadConfig(config, process.env, 'check')
    t.match(loaded, { ok: true, warnings: [] })
  })

  t.test(`${file}: every container is locked down and knows its limits`, async t => {
    for (const { metadata, spec } of ofKind(manifests, 'Deployment')) {
      const pod = spec.template.spec
      t.match(pod, { automountServiceAccountToken: false, enableServiceLinks: false }, metadata.name)
      t.match(pod.securityContext, {
        runAsNonRoot: true,
        runAsUser: 10001,
        fsGroup: 10001,
        seccompProfile: { type: 'RuntimeDefault' },
      })
      for (const { name, securityContext, resources } of containersOf(pod)) {
        const locked = {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        }
        t.same(securityContext, locked, name)
        for (const amount of ['memory', 'ephemeral-storage'])
          t.ok(resources.limits[amount], `${name}: ${amount}`)
        t.ok(resources.requests['cpu'], name)
      }
    }
  })

  t.test(`${file}: what is named exists`, async t => {
    const names = (kind: string) => ofKind(manifests, kind).map(({ metadata }) => metadata.name)
    const pods = ofKind(manifests, 'Deployment').map(({ spec }) => spec.template)
    for (const { metadata, spec } of ofKind(manifests, 'Deployment')) {
      t.ok(
        has(spec.template.metadata.labels, spec.selector.matchLabels ?? { none: 'selected' }),
        metadata.name,
      )
    }
    for (const { spec } of pods) {
      const volumes = spec.volumes.map(({ name }) => name)
      const mounted = containersOf(spec).flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name))
      t.same(
        [...new Set(mounted)].sort(),
        [...volumes].sort(),
        'every volume is mounted, every mount has one',
      )
      for (const { configMap, persistentVolumeClaim, secret } of spec.volumes) {
        if (configMap) t.ok(names('ConfigMap').includes(configMap.name), configMap.name)
        if (persistentVolumeClaim)
          t.ok(names('PersistentVolumeClaim').includes(persistentVolumeClaim.claimName))
        if (secret) t.match(readme, `--from-literal=${secret.items[0]?.key}=`, 'the README makes the secret')
      }
    }
    for (const { spec } of ofKind(manifests, 'Service')) {
      const chosen = pods.filter(({ metadata }) => has(metadata.labels, spec.selector))
      const ports = chosen.flatMap(pod =>
        containersOf(pod.spec).flatMap(it => it.ports?.map(({ name }) => name) ?? []),
      )
      for (const { targetPort } of spec.ports ?? []) t.ok(ports.includes(targetPort), `port ${targetPort}`)
    }
    for (const { spec } of ofKind(manifests, 'PodDisruptionBudget')) {
      t.ok(
        pods.some(({ metadata }) => has(metadata.labels, spec.selector.matchLabels ?? { none: 'selected' })),
      )
    }
  })

  t.test(`${file}: the front is probed at its admin listener, at the pages that need no token`, async t => {
    const { container } = front(manifests)
    const { admin, listeners } = await snapshotOf(mount(manifests, t.testdir({})))
    const ports = Object.fromEntries(
      (container.ports ?? []).map(({ name, containerPort }) => [name, containerPort]),
    )
    t.match(admin, {
      address: { kind: 'tcp', host: '0.0.0.0', port: ports['admin'] },
      token: 'a-token-of-the-test',
    })
    t.match(listeners[0]?.address, { port: ports['web'] })
    t.match(container, {
      // A sidecar that waited for the app here would keep it from starting.
      startupProbe: { httpGet: { path: '/healthz', port: 'admin' } },
      livenessProbe: { httpGet: { path: '/healthz', port: 'admin' } },
      readinessProbe: { httpGet: { path: '/readyz', port: 'admin' } },
    })
    t.match(ofKind(manifests, 'Service')[0]?.spec, { type: 'LoadBalancer', externalTrafficPolicy: 'Local' })
  })

  t.test(`${file}: the pod gets longer to stop than its sleeps and the drain take`, async t => {
    const { pod } = front(manifests)
    const { server } = await snapshotOf(mount(manifests, t.testdir({})))
    const sleeps = containersOf(pod).map(({ lifecycle }) => lifecycle?.preStop.sleep.seconds ?? 0)
    const slept = sleeps.reduce((sum, seconds) => sum + seconds, 0)
    t.ok(slept >= 5, 'the pod leaves the Service before anything ends')
    t.ok(pod.terminationGracePeriodSeconds > slept + server.drainMs / 1000)
  })

  t.test(
    `${file}: all replicas of the front together run no more requests than the app has threads`,
    async t => {
      const { pod } = front(manifests)
      const { upstreams } = await snapshotOf(mount(manifests, t.testdir({})))
      const ini = readFileSync(join(FOLDER, '../django/uwsgi.ini'), 'utf8')
      const numberOf = (key: string) => Number(new RegExp(`^${key} = (\\d+)$`, 'm').exec(ini)?.[1])
      const deployment = ofKind(manifests, 'Deployment').find(({ spec }) => spec.template.spec === pod)
      // A sidecar's app is its own.
      const sharing = containersOf(pod).some(({ name }) => name === 'app')
        ? 1
        : (deployment?.spec.replicas ?? 1)
      const { maxInflight = 0 } = upstreams[0] ?? {}
      t.equal(maxInflight * sharing, numberOf('processes') * numberOf('threads'))
    },
  )

  t.test(`${file}: the configuration is mounted as a folder, and uploads have room`, async t => {
    const { pod, container } = front(manifests)
    const mounted = container.volumeMounts.find(({ mountPath }) => mountPath === '/etc/causeway')
    t.match(mounted, { subPath: undefined, readOnly: true })
    const { server } = await snapshotOf(mount(manifests, t.testdir({})))
    const spool = container.volumeMounts.find(({ mountPath }) => mountPath === server.spool.folder)
    const room = bytesOf(pod.volumes.find(({ name }) => name === spool?.name)?.emptyDir?.sizeLimit)
    t.ok(room > server.spool.diskBytes)
    t.ok(
      bytesOf(container.resources.limits['ephemeral-storage']) > room,
      'the kubelet counts the volume, too',
    )
  })
}

t.test('sidecar.yaml: Causeway is a native sidecar, behind the steps that end', async t => {
  const { pod } = front(read('sidecar.yaml'))
  t.same(
    pod.initContainers.map(({ name, restartPolicy }) => [name, restartPolicy]),
    [
      ['collectstatic', undefined],
      ['migrate', undefined],
      ['causeway', 'Always'],
    ],
  )
})

/** Kubernetes writes `2Gi` where we write `2GiB`. */
function bytesOf(quantity: string | undefined): number {
  return parseSize(`${quantity}B`) ?? Number.NaN
}
