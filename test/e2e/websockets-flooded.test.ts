import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { RecordingUpstream, type UpstreamLine } from '../support/recording-upstream.ts'
import { until } from '../support/until.ts'
import { openWebSocket, switching } from '../support/websocket-app.ts'

const MIB = 1024 * 1024

const app = await RecordingUpstream.start(t)
const causeway = await startCauseway(t, { config: configText({ endpoints: [app.port] }) })

function held(path: string): () => Promise<UpstreamLine> {
  const lines: UpstreamLine[] = []
  app.on(
    path,
    switching(line => lines.push(line)),
  )
  return () => until(`a tunnel at ${path}`, () => lines.shift())
}

t.test('behind an app that has closed, what its client still sends keeps nobody', async t => {
  for (const leaving of [true, false]) {
    const path = leaving ? '/flooded-and-left' : '/flooded'
    const tunnel = held(path)
    const client = await openWebSocket(causeway.port(), path)
    const line = await tunnel()
    // Nobody reads at the app: all buffers on the way fill up.
    client.send(Buffer.alloc(64 * MIB, 'x'))
    let before = -1
    await until('the flood to stand still', async () => {
      const now = client.sentBytes
      await new Promise(done => setTimeout(done, 300))
      const still = now > 0 && now === before
      before = now
      return still
    })
    line.socket.end()
    await until('the end to reach the client', () => client.ended)
    line.reset()
    if (leaving) client.destroy()
    t.match(await causeway.accessOf(path), { status: 101, end: 'ok' })
    client.destroy()
  }
})

t.test('nothing of all this harmed anybody', async t => {
  await causeway.metric('causeway_upstream_tunnels', {}, value => value === 0)
  await assertClean(t, causeway, [app])
})
