import t from 'tap'
import { createLineRing, LineRingReader, LineRingWriter } from '../lib/base/line-ring.ts'

function ring(capacity: number) {
  const memory = createLineRing(capacity)
  return { writer: new LineRingWriter(memory), reader: new LineRingReader(memory) }
}

t.test('lines come out as they went in, round and round', async t => {
  const { writer, reader } = ring(100)
  for (let i = 0; i < 500; i += 1) {
    const line = `line ${i} é ${'x'.repeat(i % 20)}\n`
    writer.write(line)
    t.equal(reader.read()?.toString(), line)
  }
  t.equal(reader.read(), undefined)
  t.equal(reader.takeDropped(), 0)
})

t.test('several lines are read at once', async t => {
  const { writer, reader } = ring(1000)
  writer.write('one\n')
  writer.write('two\n')
  t.equal(reader.read()?.toString(), 'one\ntwo\n')
})

t.test('a full ring drops whole lines and counts them', async t => {
  const { writer, reader } = ring(100)
  for (let i = 0; i < 20; i += 1) writer.write(`0123456${i % 10}\n`)
  const kept = reader.read()?.toString() ?? ''
  const lines = kept.trimEnd().split('\n')
  t.ok(lines.length > 5 && lines.length < 12, `${lines.length} kept`)
  t.equal(lines.length + reader.takeDropped(), 20)
  t.equal(reader.takeDropped(), 0, 'counted once')
  writer.write('after\n')
  t.equal(reader.read()?.toString(), 'after\n')
})

t.test('what was written before a writer died can be read, and its successor goes on behind it', async t => {
  const memory = createLineRing(1000)
  new LineRingWriter(memory).write('before\n')
  new LineRingWriter(memory).write('after\n')
  t.equal(new LineRingReader(memory).read()?.toString(), 'before\nafter\n')
})
