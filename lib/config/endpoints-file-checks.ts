import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { MAX_FILE_BYTES, parseEndpointsFile } from './endpoints-file.ts'
import type { Subject } from './references.ts'
import { placeOf } from './tree.ts'

interface Checked {
  readonly endpointsFile: string | undefined
  readonly body: 'spool' | 'stream' | undefined
}

// Only a warning: whoever writes the file may come later, and it is read whenever it changes.
export function checkEndpointsFile({ root, report }: Subject, name: string, upstream: Checked): void {
  if (upstream.endpointsFile === undefined) return
  const file = resolve(upstream.endpointsFile)
  const trouble = troubleOf(file, upstream.body)
  if (trouble === undefined) return
  report.warning(placeOf(root, ['upstreams', name, 'endpoints_file']), trouble)
}

function troubleOf(file: string, body: Checked['body']): string | undefined {
  const text = read(file)
  if (text === undefined) return `the file ${file} cannot be read: until it can, it adds no endpoint`
  if (text.length > MAX_FILE_BYTES) return `the file ${file} is too large for a list of endpoints`
  const reading = parseEndpointsFile(text)
  if ('fault' in reading) return `${file}:${reading.line}: ${reading.fault}: the file will not be taken`
  if (body === 'stream' && reading.value.endpoints.some(({ protocol }) => protocol === 'uwsgi'))
    return `${file}: its uwsgi endpoints will not be taken, because body = "stream"`
  return undefined
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
