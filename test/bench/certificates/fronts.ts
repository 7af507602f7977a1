import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scope } from '../../faults/scope.ts'
import { startCauseway } from '../../support/causeway.ts'
import { startProxy } from '../faults/proxy-process.ts'
import { nginxFrame } from '../nginx-conf.ts'
import type { Place } from './places.ts'

/** A running proxy whose certificate is replaced. */
export interface Front {
  readonly port: number
  /** The files are new: says so to whoever does not watch them. */
  replaced(): void
  stop(): Promise<unknown>
}

/** Causeway on two data threads. It watches the files, and answers with its own pages. */
export async function causeway(scope: Scope, { certificate, key }: Place): Promise<Front> {
  const running = await startCauseway(scope, {
    config: `
[server]
workers = 2
drain = "1s"
[log]
access = "off"
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
tls = { certificate = "${certificate}", key = "${key}" }
[upstreams.app]
endpoints = ["127.0.0.1:9"]
[routes.app]
path = "/"
upstream = "app"
`,
  })
  return { port: running.port(), replaced: () => undefined, stop: () => running.stop() }
}

/** nginx, which reads the files again when it gets SIGHUP. */
export async function nginx(scope: Scope, { certificate, key }: Place): Promise<Front> {
  const { port, child } = await startProxy(scope, 'nginx', ({ folder, port }) => {
    const server = `  access_log off;
  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3;
  }`
    const conf = join(folder, 'nginx.conf')
    writeFileSync(conf, nginxFrame(folder, server))
    return ['nginx', '-p', folder, '-e', join(folder, 'error.log'), '-c', conf]
  })
  return {
    port,
    replaced: () => child.kill('SIGHUP'),
    stop: async () => child.kill('SIGQUIT'),
  }
}
