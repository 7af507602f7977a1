import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openFilesBelow, TestSite } from './static-site.ts'
import { until } from './until.ts'

// Run by static-transfer.test.ts under a small limit of descriptors: what does a static route answer when
// none is left?
const root = process.argv[2] as string
writeFileSync(join(root, 'held.css'), 'held')
const site = new TestSite(root)
await site.get('/held.css')
const known = new TestSite(root)
await known.get('/a.bin')
// Files are closed in the background: one that still is would come free in the middle.
await until('every file closed', () => openFilesBelow(root) === 0)

const held: number[] = []
try {
  for (;;) held.push(openSync(root, 'r'))
} catch {
  // Now there is none left.
}
const outcome = (answer: Awaited<ReturnType<TestSite['get']>>) => [
  answer.status,
  answer.record.end,
  answer.record.detail,
  answer.record.retryAfterSeconds,
]
const cold = outcome(await site.get('/a.css'))
const large = outcome(await known.get('/a.bin'))
const warm = await site.get('/held.css')
for (const fd of held) closeSync(fd)
const after = [(await site.get('/a.css')).status, (await known.get('/a.bin')).status]
process.stdout.write(JSON.stringify({ cold, large, held: warm.status, after }))
