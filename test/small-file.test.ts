import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readSmallFile, takeSmallFile } from '../lib/base/small-file.ts'
import { BROKEN_FORMS } from './support/broken-file.ts'

const GOOD = 'a line\nand another\n'
const MAX_BYTES = 10_000
const path = join(t.testdir(), 'file')

/** Both ways of reading, which must agree. */
async function read(file = path): Promise<string> {
  const results = [readSmallFile(file, MAX_BYTES), await takeSmallFile(file, MAX_BYTES)]
  const [first, second] = results.map(one => ('bytes' in one ? one.bytes.toString('latin1') : one.code))
  if (first !== second) throw new Error(`${first} is not ${second}`)
  return first as string
}

t.test('a file is read whole, up to its limit', async t => {
  for (const text of ['', GOOD, 'x'.repeat(MAX_BYTES)]) {
    writeFileSync(path, text)
    t.equal(await read(), text)
  }
  writeFileSync(path, 'x'.repeat(MAX_BYTES + 1))
  t.equal(await read(), 'TOO_LARGE')
  t.match(await read('/proc/self/comm'), /^\S+\n$/, 'also where its size is not told')
  t.equal(await read('/dev/zero'), 'NOT_A_FILE')
})

t.test('whatever stands in its place is said, and nothing is waited for', async t => {
  const seen: Record<string, string> = {}
  for (const { name, put } of BROKEN_FORMS) {
    put(path, GOOD)
    seen[name] = await read()
  }
  t.match(seen, {
    empty: '',
    'a folder': 'EISDIR',
    'a FIFO that nobody writes to': 'NOT_A_FILE',
    'of 1 GiB': 'TOO_LARGE',
    'a link to itself': 'ELOOP',
    gone: 'ENOENT',
  })
})
