import { spawnSync } from 'node:child_process'
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { RecordingExchange } from './support/recording-exchange.ts'
import { openFilesBelow, TestSite } from './support/static-site.ts'
import { until } from './support/until.ts'

const CHUNK = 64 * 1024
const LARGE = Buffer.from(Array.from({ length: 5 * CHUNK + 17 }, (_, i) => i % 253))

/** Waits until the client has what it takes for now. */
const stalled = (answer: RecordingExchange, bytes: number) =>
  until(`${bytes} bytes`, () => answer.body.length === bytes)
const closed = (root: string) => until('the file closed', () => openFilesBelow(root) === 0)

t.test('a large file is sent at the pace of its client', async t => {
  const root = t.testdir({ 'a.bin': LARGE })
  const site = new TestSite(root)
  const answer = site.start({ target: '/a.bin', window: CHUNK })
  for (let sent = CHUNK; sent < LARGE.length; sent += CHUNK) {
    await stalled(answer, sent)
    t.equal(openFilesBelow(root), 1)
    answer.drain()
  }
  await answer.done
  t.ok(answer.body.equals(LARGE))
  t.ok(answer.flushes > 0, 'what is sent does not wait for the next read')
  await closed(root)
})

t.test('a client that leaves in the middle costs no descriptor', async t => {
  const root = t.testdir({ 'a.bin': LARGE })
  const site = new TestSite(root)
  const waiting = site.start({ target: '/a.bin', window: CHUNK })
  await stalled(waiting, CHUNK)
  waiting.leave()
  await closed(root)
  const reading = site.start({ target: '/a.bin' })
  await until('the answer', () => reading.answered)
  reading.leave()
  reading.drain()
  const opening = site.start({ target: '/a.bin' })
  opening.leave()
  await closed(root)
  t.notOk(opening.answered)
})

t.test('a hundred transfers leave no descriptor behind', async t => {
  const root = t.testdir({ 'a.bin': LARGE })
  const site = new TestSite(root)
  const answers = Array.from({ length: 100 }, () => site.start({ target: '/a.bin' }))
  for (const [i, answer] of answers.entries()) if (i % 3 === 0) answer.leave()
  await Promise.all(answers.map(answer => answer.done))
  t.ok(answers.every((answer, i) => i % 3 === 0 || answer.body.equals(LARGE)))
  await closed(root)
})

t.test('a file that shrinks while it is sent is cut, never ended short', async t => {
  const root = t.testdir({ 'a.bin': LARGE })
  const answer = new TestSite(root).start({ target: '/a.bin', window: CHUNK })
  await stalled(answer, CHUNK)
  truncateSync(join(root, 'a.bin'), CHUNK + 5)
  // What had been read by then may still be sent.
  await until('the end', () => {
    answer.drain()
    return answer.ended
  })
  t.ok(answer.body.equals(LARGE.subarray(0, answer.body.length)))
  t.equal(answer.failure, 'INTERNAL')
  t.notOk(answer.complete)
  t.match(answer.record.detail, /shrank/)
  await closed(root)
})

t.test('a file that grows while it is sent has the length it was promised with', async t => {
  const root = t.testdir({ 'a.bin': LARGE })
  const answer = new TestSite(root).start({ target: '/a.bin', window: CHUNK })
  await stalled(answer, CHUNK)
  appendFileSync(join(root, 'a.bin'), 'more')
  while (!answer.ended) {
    const before = answer.body.length
    answer.drain()
    await until('progress', () => answer.ended || answer.body.length > before)
  }
  t.ok(answer.complete)
  t.ok(answer.body.equals(LARGE))
})

t.test('a file that is replaced or removed while it is sent goes on as it was', async t => {
  const root = t.testdir({ 'a.bin': LARGE, next: 'x'.repeat(100_000) })
  const site = new TestSite(root)
  const answers = [1, 2].map(() => site.start({ target: '/a.bin', window: 4 * CHUNK }))
  await Promise.all(answers.map(answer => stalled(answer, 4 * CHUNK)))
  renameSync(join(root, 'next'), join(root, 'a.bin'))
  answers[0]?.drain()
  await answers[0]?.done
  rmSync(join(root, 'a.bin'))
  answers[1]?.drain()
  await answers[1]?.done
  for (const answer of answers) t.ok(answer.body.equals(LARGE))
})

t.test('length and tag are those of the file that is sent, not of the one that was seen before', async t => {
  const root = t.testdir({ 'a.bin': LARGE })
  const site = new TestSite(root)
  const before = await site.get('/a.bin')
  const other = Buffer.alloc(70_000, 'o')
  writeFileSync(join(root, 'a.bin'), other)
  const answer = await site.get('/a.bin', ['If-None-Match', '"x"'])
  t.equal(answer.head?.length, other.length)
  t.ok(answer.body.equals(other))
  t.not(answer.field('ETag'), before.field('ETag'))
  writeFileSync(join(root, 'a.bin'), '')
  t.equal((await site.get('/a.bin')).head?.length, 0, 'also when nothing is left')
  rmSync(join(root, 'a.bin'))
  t.equal((await site.get('/a.bin')).status, 404)
  await closed(root)
})

t.test('without descriptors left the answer is 503 and nothing else breaks', async t => {
  const root = t.testdir({ 'a.css': 'a', 'a.bin': LARGE })
  // In a process of its own: running out of descriptors is not for the tests' one.
  const script = join(import.meta.dirname, 'support', 'static-exhausted.ts')
  const { stdout, status } = spawnSync(
    'sh',
    ['-c', 'ulimit -n 64 && exec "$0" "$@"', process.execPath, script, root],
    {
      encoding: 'utf8',
    },
  )
  t.equal(status, 0)
  const detail = 'this process has no file descriptor left: raise its limit of open files'
  t.same(JSON.parse(stdout), {
    cold: [503, 'out_of_resources', detail, 1],
    large: [503, 'out_of_resources', detail, 1],
    held: 200,
    after: [200, 200],
  })
})
