import fc from 'fast-check'
import t from 'tap'
import { type FrameHead, FrameReader, type FrameSink } from '../lib/wire/http2-frame-reader.ts'
import {
  CODE,
  FRAME,
  goawayFrame,
  pingAck,
  resetFrame,
  SETTING,
  settingsFrame,
  windowFrame,
} from '../lib/wire/http2-frames.ts'
import { PeerSettings } from '../lib/wire/http2-settings.ts'
import { FrameReader as Cutter, data, FLAG, frame, PREFACE, settings, TYPE } from './support/http2-frames.ts'

/** Writes down what it is told; DATA in one piece a frame, however it came. */
class Notes implements FrameSink {
  readonly said: string[] = []
  #data = ''

  frameBegins({ type, flags, stream, size }: FrameHead): boolean {
    this.said.push(`begins ${type} ${flags} ${stream} ${size}`)
    return type <= FRAME.continuation
  }

  frameWhole(_head: FrameHead, bytes: Buffer, start: number, end: number): void {
    this.said.push(`whole ${bytes.toString('hex', start, end)}`)
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    this.#data += bytes.toString('hex', start, end)
  }

  dataEnds(): void {
    this.said.push(`data ${this.#data}`)
    this.#data = ''
  }

  framingBroken(what: string): void {
    this.said.push(`broken ${what}`)
  }
}

function read(pieces: readonly Uint8Array[]): readonly string[] {
  const notes = new Notes()
  const reader = new FrameReader(notes)
  for (const piece of pieces) {
    // As from a socket: the memory is another's as soon as the call is over.
    const shared = Buffer.from(piece)
    reader.read(shared, shared.length)
    shared.fill(0xee)
  }
  return notes.said
}

const anyFrame = fc
  .record({
    type: fc.integer({ min: 0, max: 11 }),
    flags: fc.integer({ min: 0, max: 255 }),
    stream: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    payload: fc.uint8Array({ maxLength: 60 }),
  })
  .map(({ type, flags, stream, payload }) => {
    // A first byte that is the length of padding has to fit.
    const padded = type === TYPE.data && (flags & FLAG.padded) !== 0
    const fits = padded ? Buffer.from([payload.length % 3, ...payload, 0, 0, 0]) : payload
    return frame(type, flags, stream, fits)
  })

t.test('frames that are cut anywhere are read as those that come whole', async () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 8 }), fc.array(fc.nat()), (frames, cuts) => {
      const all = Buffer.concat([PREFACE, ...frames])
      const at = [0, ...cuts.map(cut => cut % all.length).sort((a, b) => a - b), all.length]
      const pieces = at.slice(1).map((end, i) => all.subarray(at[i], end))
      const whole = read([all])
      const bytewise = read(Array.from(all, byte => Uint8Array.of(byte)))
      return (
        JSON.stringify(read(pieces)) === JSON.stringify(whole) &&
        JSON.stringify(bytewise) === JSON.stringify(whole) &&
        whole.filter(line => line.startsWith('begins')).length === frames.length
      )
    }),
  )
})

t.test('padding is not part of the data, and more of it than there is breaks the framing', async t => {
  const padded = data(1, Buffer.from('\x02ab\0\0', 'latin1'), FLAG.padded)
  t.same(read([PREFACE, padded]), ['begins 0 8 1 5', 'data 6162'])
  t.same(read([PREFACE, data(1, Buffer.from([5, 0, 0]), FLAG.padded)]).at(-1), 'broken padding')
})

t.test('what is no preface is no HTTP/2', async t => {
  t.same(read([Buffer.from('PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n')]), ['broken preface'])
})

t.test('a reader that was stopped says nothing more', async t => {
  const notes = new Notes()
  const reader = new FrameReader(notes)
  notes.frameWhole = () => {
    notes.said.push('stopped')
    reader.stop()
  }
  const all = Buffer.concat([PREFACE, settings(), settings(), data(1, Buffer.from('x'))])
  reader.read(all, all.length)
  reader.read(all, all.length)
  t.same(notes.said, ['begins 4 0 0 0', 'stopped'])
})

t.test('frames that are written read back', async t => {
  const text =
    windowFrame(2 ** 31 - 1, 70_000) +
    resetFrame(5, CODE.cancel) +
    goawayFrame(7, CODE.calm) +
    pingAck('12345678') +
    settingsFrame([[SETTING.window, 2 ** 31 - 1]])
  const frames = new Cutter().push(Buffer.from(text, 'latin1'))
  t.same(
    frames.map(({ type, flags, stream, payload }) => [type, flags, stream, payload.toString('hex')]),
    [
      [TYPE.windowUpdate, 0, 2 ** 31 - 1, '00011170'],
      [TYPE.rstStream, 0, 5, '00000008'],
      [TYPE.goaway, 0, 0, '000000070000000b'],
      [TYPE.ping, FLAG.ack, 0, '3132333435363738'],
      [TYPE.settings, 0, 0, '00047fffffff'],
    ],
  )
})

t.test('settings are held to their ranges (RFC 9113 6.5.2)', async t => {
  const verdict = (id: number, value: number) => {
    const payload = settings([id, value]).subarray(9)
    return new PeerSettings().read(payload, 0, payload.length)
  }
  t.equal(verdict(SETTING.window, 2 ** 31), CODE.flowControl)
  t.equal(verdict(SETTING.window, 2 ** 31 - 1), undefined)
  t.equal(verdict(SETTING.push, 2), CODE.protocol)
  t.equal(verdict(SETTING.frameBytes, 16_383), CODE.protocol)
  t.equal(verdict(SETTING.frameBytes, 2 ** 24), CODE.protocol)
  t.equal(verdict(SETTING.frameBytes, 2 ** 24 - 1), undefined)
  t.equal(verdict(0xff, 2 ** 32 - 1), undefined, 'one that nobody knows means nothing')
})
