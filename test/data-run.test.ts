import t from 'tap'
import { DataRun } from '../lib/front/http2/data-run.ts'
import { Http2Stream, NOBODY } from '../lib/front/http2/http2-stream.ts'
import { scriptedStreamHost } from './support/scripted-stream-host.ts'

/** A stream that notes what its owner hears. */
function noted(id: number, heard: string[]): Http2Stream {
  const owner = {
    ...NOBODY,
    streamData: (bytes: Buffer, start: number, end: number) =>
      heard.push(`${id}:${bytes.toString('latin1', start, end)}`),
    streamFlush: () => heard.push(`${id} flushed`),
  }
  return new Http2Stream(id, scriptedStreamHost, owner, true)
}

/** A read of frames: five bytes that stand for a head, then the payload. */
function frames(...payloads: readonly string[]) {
  const bytes = Buffer.from(payloads.map(payload => `#####${payload}`).join(''))
  let at = 0
  return payloads.map(payload => {
    const start = at + 5
    at = start + payload.length
    return { bytes, start, end: at }
  })
}

t.test('pieces of one stream in one read are one piece, flushed once', async t => {
  const heard: string[] = []
  const [run, stream] = [new DataRun(), noted(1, heard)]
  for (const { bytes, start, end } of frames('a', 'b', 'cde', 'f')) run.add(stream, bytes, start, end)
  t.same(heard, [])
  run.flush()
  t.same(heard, ['1:abcdef', '1 flushed'])
  run.flush()
  t.equal(heard.length, 2)
})

t.test('streams that take turns keep their order, and each is flushed once', async t => {
  const heard: string[] = []
  const run = new DataRun()
  const streams = [noted(1, heard), noted(3, heard)]
  for (const [n, { bytes, start, end }] of frames('a', 'b', 'c', 'd').entries())
    run.add(streams[n % 2] as Http2Stream, bytes, start, end)
  run.flush()
  t.same(heard, ['1:a', '3:b', '1:c', '3:d', '1 flushed', '3 flushed'])
})

t.test('large pieces are handed over as they lie', async t => {
  const heard: string[] = []
  const [run, stream] = [new DataRun(), noted(1, heard)]
  const large = 'x'.repeat(2_000)
  for (const { bytes, start, end } of frames('a', large, 'b')) run.add(stream, bytes, start, end)
  run.flush()
  t.same(heard, ['1:a', `1:${large}b`, '1 flushed'])
})

t.test('what was dropped, or belongs to a stream that is gone, reaches nobody', async t => {
  const heard: string[] = []
  const run = new DataRun()
  const [dropped, gone] = [noted(1, heard), noted(3, heard)]
  for (const { bytes, start, end } of frames('a')) run.add(dropped, bytes, start, end)
  run.drop()
  for (const { bytes, start, end } of frames('b')) run.add(gone, bytes, start, end)
  gone.gone(0)
  run.flush()
  t.same(heard, [])
})
