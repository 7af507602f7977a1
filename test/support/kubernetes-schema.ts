import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap'
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim'
import { Service } from 'kubernetes-models/v1/Service'

const MODELS = [Deployment, NetworkPolicy, PodDisruptionBudget, ConfigMap, PersistentVolumeClaim, Service]

/** What a validator was shown of a value. */
interface Watched {
  readonly value: object
  readonly read: Set<string>
  readonly children: Map<string, unknown>
}

const watched = new WeakMap<object, Watched>()

/**
 * What the API server would not take: values of the wrong type, missing ones, and keys that it does not know,
 * by their paths. The validators were generated from Kubernetes' own OpenAPI. They say nothing of unknown
 * keys, but never read them either: a key that nobody read is unknown.
 */
export function mistakesIn(manifest: unknown): string[] {
  const { apiVersion, kind } = manifest as { readonly apiVersion?: string; readonly kind?: string }
  const model = MODELS.find(known => known.apiVersion === apiVersion && known.kind === kind)
  if (model === undefined) return [`${apiVersion} ${kind} is not known here`]
  const seen = watch(manifest)
  try {
    model.prototype.validate.call(seen)
  } catch (error) {
    return [String(error)]
  }
  return unreadIn(seen, '')
}

function watch(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const record: Watched = { value, read: new Set(), children: new Map() }
  const proxy = new Proxy(value, {
    get(target, key) {
      const child: unknown = Reflect.get(target, key)
      if (typeof key !== 'string') return child
      record.read.add(key)
      if (!record.children.has(key)) record.children.set(key, watch(child))
      return record.children.get(key)
    },
  })
  watched.set(proxy, record)
  return proxy
}

function unreadIn(proxy: unknown, path: string): string[] {
  const record = typeof proxy === 'object' && proxy !== null ? watched.get(proxy) : undefined
  if (record === undefined) return []
  return Object.keys(record.value).flatMap(key =>
    record.read.has(key)
      ? unreadIn(record.children.get(key), `${path}.${key}`)
      : [`${path}.${key} is not known to Kubernetes`],
  )
}
