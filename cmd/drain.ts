import { setTimeout as pause } from 'node:timers/promises'
import type { DrainAnswer } from '../lib/server/admin/verbs.ts'
import { askAdmin, orFail } from './admin-client.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'
import { endpointsOf, readTimeout, refused, verbPage } from './upstream-verb.ts'

const TIMEOUT_MS = 10_000
/** How often it is asked whether anything runs there. */
const LOOK_MS = 200

/** Where a drain has got to. */
interface Drained {
  readonly upstream: string
  readonly endpoints: readonly { readonly name: string; readonly inflight: number }[]
  readonly drained: boolean
}

/**
 * `causeway drain UPSTREAM [ENDPOINT]`: no new requests there; exit 0 once nothing runs there any more, 1 if
 * something still does.
 */
export async function drain({ config, json, operands, options, flags }: CommandArgs): Promise<number> {
  const [upstream = '', endpoint] = operands
  const timeoutMs = readTimeout(options['timeout'])
  if (Number.isNaN(timeoutMs)) return EXIT.usage
  return orFail(json, async () => {
    const query = endpoint === undefined ? [] : ([['endpoint', endpoint]] as const)
    const answer = await askAdmin(config, 'POST', verbPage(upstream, 'drain', query), TIMEOUT_MS)
    if (answer.status !== 200) return refused(answer)
    const { endpoints, drain_ms: drainMs } = JSON.parse(answer.body) as DrainAnswer
    const begun: Drained = { upstream, endpoints: endpoints.map(short), drained: isEmpty(endpoints) }
    const wait = !flags.has('no-wait')
    const result = wait ? await untilEmpty(config, begun, timeoutMs ?? drainMs) : begun
    process.stdout.write(json ? `${JSON.stringify(result, undefined, 2)}\n` : describe(result))
    return result.drained || !wait ? EXIT.fine : EXIT.failed
  })
}

async function untilEmpty(config: string, begun: Drained, timeoutMs: number): Promise<Drained> {
  const endMs = performance.now() + timeoutMs
  let now = begun
  while (!now.drained && performance.now() < endMs) {
    await pause(LOOK_MS)
    const rows = await endpointsOf(config, begun.upstream)
    const meant = rows.filter(({ name }) => begun.endpoints.some(one => one.name === name))
    now = { ...begun, endpoints: meant.map(short), drained: isEmpty(meant) }
  }
  return now
}

function short({ name, inflight }: { readonly name: string; readonly inflight: number }) {
  return { name, inflight }
}

function isEmpty(endpoints: readonly { readonly inflight: number }[]): boolean {
  return endpoints.every(({ inflight }) => inflight === 0)
}

function describe({ upstream, endpoints, drained }: Drained): string {
  const lines = endpoints.map(({ name, inflight }) => {
    return inflight === 0 ? `${name} is drained` : `${name} is draining: ${inflight} in flight`
  })
  if (drained) lines.push(`to undo: causeway ready ${upstream}`)
  return `${lines.join('\n')}\n`
}
