import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface LaneOptions {
  readonly port: number
  /** Path of the lane's app, with a slash at its end. */
  readonly path: string
  /** Requests that are under way together, so that each needs a connection of its own. */
  readonly lanes: number
  readonly rounds: number
  /** From one round to the next: the app's work and the age that connections are to have. */
  readonly everyMs: number
  /** Each request is this much earlier or later than its round. */
  readonly jitterMs: number
  readonly startAfterMs: number
}

/** What became of the requests. */
export interface LanesSeen {
  readonly requests: number
  /** How often each outcome other than 200 came: `"POST 502"`. */
  readonly failures: Readonly<Record<string, number>>
}

const BODY = 'x'.repeat(400)
const PATIENCE_MS = 20_000

let sent = 0

/**
 * Rounds of requests, GET and POST mixed: the connections that one round leaves are just about to be closed
 * when the next comes.
 */
export async function runLanes(options: LaneOptions): Promise<LanesSeen> {
  const { lanes, rounds, everyMs, jitterMs, startAfterMs } = options
  const agent = new Agent({ keepAlive: true, maxFreeSockets: lanes })
  const failures: Record<string, number> = {}
  const startMs = performance.now() + startAfterMs
  for (let round = 0; round < rounds; round += 1) {
    await delay(Math.max(0, startMs + round * everyMs - jitterMs - performance.now()))
    const outcomes = await Promise.all(
      Array.from({ length: lanes }, async () => {
        await delay(Math.random() * 2 * jitterMs)
        return ask(agent, options)
      }),
    )
    for (const word of outcomes) if (word !== undefined) failures[word] = (failures[word] ?? 0) + 1
  }
  agent.destroy()
  return { requests: lanes * rounds, failures }
}

/** undefined: answered with 200. */
function ask(agent: Agent, { port, path }: LaneOptions): Promise<string | undefined> {
  const method = Math.random() < 0.5 ? 'GET' : 'POST'
  sent += 1
  const id = `${method}-${sent}`
  const body = method === 'POST' ? BODY : ''
  return new Promise(done => {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const headers = method === 'POST' ? { 'Content-Length': BODY.length } : {}
    const whole = { agent, host: '127.0.0.1', port, method, path: path + id, headers, signal }
    const asking = request(whole, answer => {
      answer.resume()
      answer.once('close', () => {
        const isWhole = answer.complete && answer.statusCode === 200
        done(isWhole ? undefined : `${method} ${answer.complete ? answer.statusCode : 'cut'}`)
      })
    })
    asking.once('error', (error: NodeJS.ErrnoException) => done(`${method} ${error.code ?? error.message}`))
    asking.end(body)
  })
}
