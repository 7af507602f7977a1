import { randomBytes, randomInt } from 'node:crypto'
import t from 'tap'
import { ClientMemory, ConnectionMemory } from '../lib/front/connection/client-memory.ts'
import { ChunkQueue } from '../lib/front/http2/chunk-queue.ts'

const KIB = 1024

/** Takes up to `most` bytes from the front, one piece. */
function taken(queue: ChunkQueue, most: number): Buffer {
  const { first, firstAt } = queue
  const size = Math.min(most, first.length - firstAt)
  const bytes = Buffer.from(first.subarray(firstAt, firstAt + size))
  queue.drop(size)
  return bytes
}

t.test('bytes come out as they went in, whatever the sizes and however long they wait', async t => {
  const memory = new ClientMemory()
  const queue = new ChunkQueue(memory)
  const given: Buffer[] = []
  const got: Buffer[] = []
  for (let i = 0; i < 2000; i += 1) {
    const bytes = randomBytes(randomInt(2) === 0 ? randomInt(1, 200) : randomInt(1, 90 * KIB))
    const size = randomInt(bytes.length) + 1
    given.push(bytes.subarray(0, size))
    if (randomInt(2) === 0) queue.push(bytes.subarray(0, size))
    else {
      queue.pushCopy(bytes, 0, size)
      // The copy is all that counts from here on.
      given[given.length - 1] = Buffer.from(bytes.subarray(0, size))
      bytes.fill(0)
    }
    if (randomInt(3) === 0) queue.detach()
    while (queue.size > 500 * KIB) got.push(taken(queue, randomInt(1, 40 * KIB)))
  }
  while (queue.size > 0) got.push(taken(queue, 16 * KIB))
  t.ok(Buffer.concat(got).equals(Buffer.concat(given)))
  t.equal(memory.extentBytes, 0, 'all extents are given back')
})

t.test('large copies lie in extents, and clearing gives them back', async t => {
  const memory = new ClientMemory()
  const queue = new ChunkQueue(memory)
  for (let i = 0; i < 5; i += 1) queue.pushCopy(randomBytes(40 * KIB), 0, 40 * KIB)
  t.equal(memory.extentBytes, 5 * 64 * KIB)
  queue.drop(queue.first.length)
  t.equal(memory.extentBytes, 4 * 64 * KIB)
  queue.clear()
  t.equal(memory.extentBytes, 0)
  t.equal(queue.size, 0)
})

t.test('what waits long keeps no more memory than its own', async t => {
  const queue = new ChunkQueue(new ClientMemory())
  queue.pushCopy(Buffer.from('a few bytes'), 0, 11)
  t.ok(queue.first.buffer.byteLength > 11, 'cut from a pool at first')
  queue.detach()
  t.equal(queue.first.buffer.byteLength, 11)
  t.equal(queue.first.toString(), 'a few bytes')
})

t.test('answers that wait, however many, leave the memory of bodies alone', async t => {
  const memory = new ClientMemory()
  const queue = new ChunkQueue(new ConnectionMemory(memory).extents)
  for (let i = 0; i < 1100; i += 1) queue.pushCopy(Buffer.alloc(60 * KIB), 0, 60 * KIB)
  const extent = memory.takeExtent(60 * KIB)
  t.equal(extent?.bytes.length, 64 * KIB)
  if (extent !== undefined) memory.giveExtent(extent)
  queue.clear()
  t.equal(memory.extentBytes, 0)
})
