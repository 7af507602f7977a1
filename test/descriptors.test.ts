import { execFileSync } from 'node:child_process'
import t from 'tap'
import type { Snapshot } from '../lib/config/model.ts'
import { maxConnections, maxWithFiles, scarceDescriptors } from '../lib/server/shared/descriptors.ts'

const MODULE = new URL('../lib/server/shared/descriptors.ts', import.meta.url).href

/** What a process whose limit of open files is `limit` would allow. */
function allowedUnder(limit: number, threads = 1): number {
  const opened = JSON.stringify({ threads, listeners: 1 })
  const script = `import('${MODULE}').then(it => console.log(it.maxConnections(${opened})))`
  const command = `ulimit -n ${limit}; exec "$0" --no-warnings -e "$1"`
  return Number(execFileSync('/bin/sh', ['-c', command, process.execPath, script], { encoding: 'utf8' }))
}

t.test('clients never get the last descriptors', async t => {
  const few = allowedUnder(128)
  t.ok(few > 8 && few <= 128 - 32, `${few} of 128`)
  const more = allowedUnder(1000)
  t.ok(more > 800 && more <= 900, `${more} of 1000: a tenth stays in reserve`)
  t.equal(allowedUnder(40), 8, 'some clients are always served')
  const fewer = more - allowedUnder(1000, 17)
  t.ok(fewer === 100 || fewer === 101, `${fewer}: nine tenths of what 16 threads open themselves`)
  const listening = allowedUnder(100_000) - allowedUnder(100_000, 17)
  t.ok(listening === 201 || listening === 202, `${listening}: they listen on more where clients may be many`)
})

t.test('files of bodies that wait may have half of the reserve, never the rest of it', async t => {
  t.equal(maxWithFiles(900), 945, 'of 1000: 55 stay')
  t.equal(maxWithFiles(8), 8)
  t.equal(maxWithFiles(Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY)
})

t.test('this process has descriptors to spare', async t => {
  t.ok(maxConnections({ threads: 2, listeners: 1 }) > 8)
})

t.test('a listener that is promised more than there can be is named', async t => {
  const listeners = [
    { name: 'web', limits: { connections: 10_000 } },
    { name: 'small', limits: { connections: 50 } },
  ]
  const warnings = scarceDescriptors({ listeners } as unknown as Snapshot, 73)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /listeners\.web\.limits\.connections is 10000, .* allows 73/)
})
