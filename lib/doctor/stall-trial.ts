import { Agent, type ClientRequest, request } from 'node:http'
import type { ProbePlan } from './probe-plan.ts'

/** One answer of an endpoint that was asked over and over. */
export interface TimedAnswer {
  /** Its connection had carried another one. */
  readonly used: boolean
  /** Between its head and what followed. */
  readonly pauseMs: number
}

/** How an endpoint answers on a connection that is kept. */
export interface StallTrial {
  readonly upstream: string
  readonly origin: string
  readonly answers: readonly TimedAnswer[]
}

/** Enough to tell a rule from an accident. */
const QUESTIONS = 10
const TIMEOUT_MS = 5000

/** Asks each endpoint that the configuration has probed a few times in a row, as a busy front would. */
export async function tryStalls(plans: readonly ProbePlan[]): Promise<StallTrial[]> {
  const trials: StallTrial[] = []
  for (const plan of plans) if (plan.endpoint !== undefined) trials.push(await tryOne(plan, plan.endpoint))
  return trials
}

async function tryOne(
  plan: ProbePlan,
  { upstream, origin, socket }: NonNullable<ProbePlan['endpoint']>,
): Promise<StallTrial> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const answers: TimedAnswer[] = []
  try {
    for (let n = 0; n < QUESTIONS; n += 1) {
      const { hostname, port } = new URL(origin)
      const where =
        socket === undefined ? { host: hostname.replace(/^\[|\]$/g, ''), port } : { socketPath: socket }
      const headers = { ...plan.headers, ...(plan.host === undefined ? {} : { host: plan.host }) }
      const signal = AbortSignal.timeout(TIMEOUT_MS)
      answers.push(await timed(request({ ...where, agent, headers, path: plan.path, signal })))
    }
  } catch {
    // Whether it answers at all is for other checks to say.
  } finally {
    agent.destroy()
  }
  return { upstream, origin, answers }
}

function timed(asked: ClientRequest): Promise<TimedAnswer> {
  return new Promise((resolve, reject) => {
    asked.on('error', reject)
    asked.on('response', answer => {
      const headAtMs = performance.now()
      let pauseMs = 0
      answer.once('data', () => {
        pauseMs = performance.now() - headAtMs
      })
      answer.on('error', reject)
      // Not before the socket is free for the next question.
      answer.on('close', () => setImmediate(resolve, { used: asked.reusedSocket, pauseMs }))
    })
    asked.end()
  })
}
