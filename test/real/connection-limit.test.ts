import { Agent } from 'node:http'
import t, { type Test } from 'tap'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, missing, startAsgi } from './support.ts'

// uvicorn answers 503 once it has as many connections as --limit-concurrency says, idle ones among them, or
// as many requests. Causeway has max_inflight connections at most, and one for a probe.

t.setTimeout(240_000)
const SLOTS = 8
const CLIENTS = 24
const ROUNDS = 40

t.test(
  'uvicorn on asyncio, --limit-concurrency two above max_inflight: no request of two data threads is refused',
  { skip: missing('uvicorn') },
  async t => {
    await assertNoneRefused(t, SLOTS + 2, ['--loop', 'asyncio'])
  },
)

t.test(
  'uvicorn on uvloop, which counts a request for a moment longer: none with twice max_inflight and two more',
  { skip: missing('uvicorn', 'uvloop') },
  async t => {
    await assertNoneRefused(t, 2 * SLOTS + 2, ['--loop', 'uvloop'])
  },
)

async function assertNoneRefused(t: Test, limit: number, args: readonly string[]): Promise<void> {
  const app = await startAsgi(t, [...args, '--limit-concurrency', String(limit)])
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: [app.port],
      workers: 2,
      upstream: `max_inflight = ${SLOTS}\nqueue = { timeout = "5m" }\nhealth = { path = "/echo/", interval = "100ms" }`,
    }),
  })
  const statuses = new Map<number, number>()
  const client = async (n: number) => {
    // Every other client connects for each request: so both data threads have work all the time.
    const agent = n % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined
    for (let round = 0; round < ROUNDS; round += 1) {
      const { status } = await ask(causeway.port(), { ...questionFor(n + round), ...(agent && { agent }) })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    agent?.destroy()
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(n)))
  t.same([...statuses], [[200, CLIENTS * ROUNDS]])
  const down = causeway.lines.filter(({ msg }) => /^endpoint (down|ejected|unreachable)/.test(String(msg)))
  t.same(down, [], 'nor is a probe')
}

/** Every third one must not reuse a connection. */
function questionFor(number: number) {
  return number % 3 === 0 ? { path: '/upload/', method: 'POST', body: 'once' } : { path: '/echo/' }
}
