import { resolve } from 'node:path'
import { readSmallFile } from '../base/small-file.ts'
import { misfit } from './endpoint-fit.ts'
import { MAX_FILE_BYTES, parseEndpointsFile } from './endpoints-file.ts'
import type { Subject } from './references.ts'
import { placeOf } from './tree.ts'

interface Checked {
  readonly endpointsFile: string | undefined
  readonly body: 'spool' | 'stream' | undefined
  readonly proxyProtocol: 'v1' | 'v2' | undefined
}

// Only a warning: whoever writes the file may come later, and it is read whenever it changes.
export function checkEndpointsFile({ root, report }: Subject, name: string, upstream: Checked): void {
  if (upstream.endpointsFile === undefined) return
  const file = resolve(upstream.endpointsFile)
  const trouble = troubleOf(file, upstream)
  if (trouble === undefined) return
  report.warning(placeOf(root, ['upstreams', name, 'endpoints_file']), trouble)
}

function troubleOf(file: string, upstream: Checked): string | undefined {
  const read = readSmallFile(file, MAX_FILE_BYTES)
  if ('code' in read)
    return read.code === 'TOO_LARGE'
      ? `the file ${file} is too large for a list of endpoints`
      : `the file ${file} cannot be read: it adds no endpoints until it can be read`
  const reading = parseEndpointsFile(read.bytes.toString())
  if ('fault' in reading) return `${file}:${reading.line}: ${reading.fault}: the file will be rejected`
  for (const { name, protocol } of reading.value.endpoints) {
    const why = misfit(protocol, upstream)
    if (why !== undefined) return `${file}: ${name} will be rejected: ${why}`
  }
  return undefined
}
