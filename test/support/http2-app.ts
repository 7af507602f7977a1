import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { EndpointProtocol, UpstreamConfig } from '../../lib/config/model.ts'
import { configOf, Process, type TestJob } from './upstream-world.ts'

export const NO_RETRY = { attempts: 0, budgetShare: 0, statuses: [] }

export type Serve = (stream: ServerHttp2Stream, path: string, raw: readonly string[]) => void

/** An app on node:http2. */
export class Http2App {
  readonly server: Http2Server
  readonly sessions: ServerHttp2Session[] = []
  readonly requests: { readonly path: string; readonly raw: readonly string[]; readonly session: number }[] =
    []

  constructor(server: Http2Server, serve: Serve) {
    this.server = server
    server.on('session', session => {
      session.on('error', () => {})
      this.sessions.push(session)
    })
    server.on('stream', (stream, headers, _flags, raw: readonly string[] = []) => {
      stream.on('error', () => {})
      const path = String(headers[':path'])
      const session = this.sessions.indexOf(stream.session as ServerHttp2Session)
      this.requests.push({ path, raw, session })
      serve(stream, path, raw)
    })
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async listen(t: Test): Promise<this> {
    await new Promise<void>(done => this.server.listen(0, '127.0.0.1', done))
    t.teardown(() => {
      for (const session of this.sessions) session.destroy()
      this.server.close()
    })
    return this
  }
}

export const echo: Serve = (stream, path) => {
  stream.respond({ ':status': 200 })
  stream.write(`${path}\n`)
  stream.pipe(stream)
}

export function h2(
  ports: readonly number[],
  changes: Partial<UpstreamConfig> = {},
  protocol: EndpointProtocol = 'h2c',
) {
  const config = configOf(ports, changes)
  return { ...config, endpoints: config.endpoints.map(it => ({ ...it, protocol })) }
}

export function start(t: Test, config: UpstreamConfig) {
  const world = new Process(t)
  const upstream = world.upstream(world.env(0), config)
  t.teardown(() => upstream.retire())
  return { world, upstream }
}

export function submit(upstream: { submit(job: TestJob): void }, job: TestJob): TestJob {
  upstream.submit(job)
  return job
}
