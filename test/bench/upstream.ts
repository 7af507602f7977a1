import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nginxFrame } from './nginx-conf.ts'
import { freePorts } from './ports.ts'
import { LOAD_CORE, type Processes } from './processes.ts'

/** The body of `/`. */
export const SMALL_BYTES = 104
/** The body of `/10k`, and the static file. */
export const LARGE_BYTES = 10_240

const KIBIBYTE = 'Causeway '.repeat(114).slice(0, 1024)

const server = (port: number) => `
  server {
    listen 127.0.0.1:${port} backlog=4096;
    set $k "${KIBIBYTE}";
    location = /10k { return 200 "$k$k$k$k$k$k$k$k$k$k"; }
    location / { return 200 "${'.'.repeat(SMALL_BYTES - 1)}\n"; }
  }`

/** Starts the cheapest app there is, nginx answering from its configuration, on three ports. */
export async function startUpstream(processes: Processes, folder: string): Promise<readonly number[]> {
  const ports = await freePorts(3)
  mkdirSync(folder, { recursive: true })
  const conf = join(folder, 'nginx.conf')
  writeFileSync(
    conf,
    nginxFrame(folder, `  access_log off;\n  keepalive_timeout 600s;${ports.map(server).join('')}`),
  )
  processes.start(['nginx', '-p', folder, '-e', join(folder, 'error.log'), '-c', conf], {
    core: LOAD_CORE,
    output: join(folder, 'output.log'),
  })
  return ports
}
