import { resolve } from 'node:path'
import { readAuthorities, readKeyPair } from '../base/key-pair.ts'
import type { Subject } from './references.ts'
import type { Settings } from './settings.ts'
import type { UpstreamTls } from './tls-model.ts'
import { type Path, placeOf } from './tree.ts'

type Upstream = Settings['upstreams'] extends ReadonlyMap<string, infer T> ? T : never
type Written = Upstream['tls']

/**
 * `tls` of every upstream with the contents of its files, which go to each thread with the snapshot: so all
 * of them speak to an endpoint in the same way, and a changed file counts from the next reload on. A file
 * that is not good is an error.
 */
export function readUpstreamTls(subject: Subject): ReadonlyMap<string, UpstreamTls> {
  const { upstreams } = subject.settings
  return new Map([...upstreams].map(([name, upstream]) => [name, readOne(subject, name, upstream.tls)]))
}

/** Without a file. */
export function plainTls({ serverName, verify }: Written): UpstreamTls {
  return { ca: undefined, serverName, verify, certificate: undefined, key: undefined }
}

function readOne(subject: Subject, name: string, written: Written): UpstreamTls {
  const { root, report } = subject
  const path = ['upstreams', name, 'tls']
  if (!written.verify)
    report.warning(
      placeOf(root, [...path, 'verify']),
      `endpoints of upstream "${name}" are not authenticated: verify is off`,
      'specify their CA: tls = { ca = "/certs/ca.pem" }',
    )
  return { ...plainTls(written), ca: readCa(subject, path, written.ca), ...readOwn(subject, path, written) }
}

function readCa({ root, report }: Subject, path: Path, file: string | undefined): UpstreamTls['ca'] {
  if (file === undefined) return undefined
  const read = readAuthorities(file)
  if (!('fault' in read)) return { path: resolve(file), text: read.text }
  report.error(placeOf(root, [...path, 'ca']), `${file} ${read.fault}`, read.hint)
  return undefined
}

/** What we show to endpoints. */
function readOwn(
  { root, report }: Subject,
  path: Path,
  { certificate, key }: Written,
): Pick<UpstreamTls, 'certificate' | 'key'> {
  const none = { certificate: undefined, key: undefined }
  if (certificate === undefined && key === undefined) return none
  if (certificate === undefined || key === undefined) {
    report.error(placeOf(root, path), 'certificate and key must be set together', 'set both, or neither')
    return none
  }
  const pair = readKeyPair({ certificate, key })
  if ('fault' in pair) {
    const file = pair.file === 'key' ? key : certificate
    report.error(placeOf(root, [...path, pair.file]), `${file} ${pair.fault}`, pair.hint)
    return none
  }
  return {
    certificate: { path: resolve(certificate), text: pair.certificate },
    key: { path: resolve(key), text: pair.key },
  }
}
