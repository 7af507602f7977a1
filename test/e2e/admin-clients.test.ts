import { connect, type Socket } from 'node:net'
import t from 'tap'
import { type Running, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'

/** More than there are places. */
const CLIENTS = 400

const app = await RecordingUpstream.start(t)

/**
 * Clients of the admin listener that have sent this, keep their half open whatever they are told, and read
 * nothing unless told to.
 */
async function hold(running: Running, bytes: string, reads: boolean): Promise<Socket[]> {
  const { hostname: host, port } = new URL(running.adminUrl)
  const sockets = Array.from({ length: CLIENTS }, () =>
    connect({ host, port: Number(port), allowHalfOpen: true }),
  )
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('connect', resolve))))
  for (const socket of sockets) {
    socket.on('error', () => {})
    if (bytes !== '') socket.write(bytes)
    if (reads) socket.resume()
  }
  return sockets
}

/** On a connection of its own, as probes come. */
async function statusOf(running: Running, path: string): Promise<number> {
  const { status, body } = await fetch(running.adminUrl + path, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(20_000),
  })
  await body?.cancel()
  return status
}

async function answersBeside(running: Running): Promise<number[]> {
  const paths = ['/readyz', '/healthz', '/metrics', '/status', '/readyz']
  const answers: number[] = []
  for (const path of paths) {
    answers.push(await statusOf(running, path))
  }
  return answers
}

const start = () => startCauseway(t, { config: configText({ endpoints: [app.port] }) })

for (const [what, bytes, reads] of [
  ['say nothing', '', true],
  ['send one byte', 'G', true],
  ['never end their head', 'GET /status HTTP/1.1\r\nHost: a\r\n', true],
  ['never end their body', 'POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n', false],
  ['do not read their answers', 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(4), false],
] as const) {
  t.test(`probes and scrapes are answered beside any number of clients that ${what}`, async t => {
    const running = await start()
    const sockets = await hold(running, bytes, reads)
    t.same(await answersBeside(running), [200, 200, 200, 200, 200])
    await hold(running, bytes, reads)
    t.same(await answersBeside(running), [200, 200, 200, 200, 200])
    t.ok(sockets.some(({ destroyed, readableEnded }) => destroyed || readableEnded) || !reads)
    t.equal(await running.stop(), 0)
  })
}

t.test('who was refused is gone, whether it closes its half or not', async t => {
  const running = await start()
  const { hostname: host, port } = new URL(running.adminUrl)
  const socket = connect({ host, port: Number(port), allowHalfOpen: true })
  let text = ''
  let reset = false
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece
  })
  socket.on('error', () => {
    reset = true
  })
  socket.write('GET\r\n\r\n')
  await until('the answer', () => text.includes('400 Bad Request'))
  await until('nobody to be there', () => {
    if (!socket.destroyed) socket.write('x')
    return reset || socket.destroyed
  })
  t.equal(await running.stop(), 0)
})

t.test('pages that take long leave places for probes', async t => {
  const running = await start()
  const reloads = await hold(running, 'POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n', true)
  t.same((await answersBeside(running)).slice(0, 3), [200, 200, 200])
  for (const socket of reloads) socket.destroy()
  await until('a page', async () => (await statusOf(running, '/status')) === 200)
  t.equal(await running.stop(), 0)
})
