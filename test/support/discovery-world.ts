import type { Test } from 'tap'
import { type Running, startCauseway } from './causeway.ts'
import { type ConfigParts, configText } from './config-text.ts'
import { answerLoad, type Load } from './load.ts'
import type { NameServer } from './name-server.ts'
import { RecordingUpstream } from './recording-upstream.ts'
import { until } from './until.ts'

/** Keys of an upstream whose names are looked up often, or hardly ever by themselves. */
export const QUICK = 'discovery = { interval = "100ms" }'
export const SELDOM = 'discovery = { interval = "1h" }'

interface EndpointRow {
  readonly name: string
  readonly address: string
  readonly state: string
}

interface UpstreamRow {
  readonly name: string
  readonly endpoints: readonly EndpointRow[]
  readonly problems: readonly string[]
}

/** What /status says of the upstream. */
export async function rowOf({ adminUrl }: Running): Promise<UpstreamRow> {
  const { upstreams } = (await (await fetch(`${adminUrl}/status`)).json()) as { upstreams: UpstreamRow[] }
  return upstreams.find(({ name }) => name === 'app') as UpstreamRow
}

/** Waits until the upstream has exactly these addresses, by name. */
export async function membersAre(
  causeway: Running,
  members: Readonly<Record<string, string>>,
): Promise<void> {
  let seen: unknown
  await until(
    () => `${JSON.stringify(members)}, last seen as ${JSON.stringify(seen)}`,
    async () => {
      const { endpoints } = await rowOf(causeway)
      seen = endpoints.map(({ name, address }) => [name, address])
      return JSON.stringify(seen) === JSON.stringify(Object.entries(members))
    },
  )
}

/** Apps at the same port of different addresses of this machine, as containers of one service have them. */
export async function startApps(
  t: Test,
  count: number,
): Promise<{ apps: RecordingUpstream[]; port: number }> {
  const first = await RecordingUpstream.start(t, { host: '127.0.0.2' })
  const { port } = first
  const others = Array.from({ length: count - 1 }, (_, i) => {
    return RecordingUpstream.start(t, { host: `127.0.0.${i + 3}`, port })
  })
  const apps = [first, ...(await Promise.all(others))]
  for (const app of apps) answerLoad(app)
  return { apps, port }
}

/** Causeway with this name server. */
export async function startWith(t: Test, names: NameServer, parts: ConfigParts): Promise<Running> {
  const server = `resolver = ["${names.address}"]\n${parts.server ?? ''}`
  return startCauseway(t, { config: configText({ workers: 2, ...parts, server }) })
}

/** No request was lost, and nobody's connection. */
export async function assertAllAnswered(t: Test, load: Load): Promise<void> {
  await load.stop()
  t.same(load.wrong, [])
  t.equal(load.lost, 0)
  t.equal(load.answered, load.sent)
}
