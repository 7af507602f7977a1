import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Everything that the configuration of a churn refers to; all of it on 127.0.0.1 and in one folder. */
export interface Ground {
  readonly folder: string
  readonly appPorts: readonly number[]
  readonly echoPort: number
  readonly workers: number
}

/** Names that come and go: so many stay at a time. */
const NEWCOMERS = 3
const FILE_BYTES = 32 * 1024 * 1024

export const certificateOf = ({ folder }: Ground) => join(folder, 'live.pem')
export const keyOf = ({ folder }: Ground) => join(folder, 'live.key')
export const endpointsOf = ({ folder }: Ground) => join(folder, 'endpoints')
export const accessLogOf = ({ folder }: Ground) => join(folder, 'access.log')

/** As tools do that keep such files. */
export function replaceFile(file: string, text: string | Uint8Array): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

/** The static root, with one large file that nobody can take at once. */
export function writeStaticRoot({ folder }: Ground): void {
  mkdirSync(join(folder, 'root'))
  writeFileSync(join(folder, 'root', 'large.bin'), Buffer.alloc(FILE_BYTES, 'f'))
  writeFileSync(join(folder, 'root', 'small.css'), 'p { color: teal }\n')
}

/**
 * The configuration of one generation: routes and upstreams of the last few generations have names that
 * nobody had before.
 */
export function siteOf(ground: Ground, generation: number): string {
  const { folder, appPorts, echoPort, workers } = ground
  const newcomers = Array.from({ length: NEWCOMERS }, (_, i) => generation + i)
  return `
[server]
workers = ${workers}
drain = "5s"
[log]
access = "${accessLogOf(ground)}"
[admin]
address = "127.0.0.1:0"
[listeners.web]
address = "127.0.0.1:0"
h2c = true
timeouts = { header = "5s", body = "5s", keepalive = "10s", write = "5s" }
[listeners.secure]
address = "127.0.0.1:0"
tls = { certificate = "${certificateOf(ground)}", key = "${keyOf(ground)}" }
[listeners.pass]
address = "127.0.0.1:0"
tls = "passthrough"
[upstreams.app]
endpoints_file = "${endpointsOf(ground)}"
health = { path = "/small", host = "example.test" }
[upstreams.db]
endpoints = ["127.0.0.1:${echoPort}"]
[tunnels.db]
hosts = ["db.test"]
upstream = "db"
[routes.app]
path = "/"
upstream = "app"
[routes.files]
path = "/static/"
static = { root = "${join(folder, 'root')}" }
${newcomers.map(n => newcomer(n, appPorts[n % appPorts.length] as number)).join('')}`
}

function newcomer(n: number, port: number): string {
  return `[upstreams.new-${n}]
endpoints = ["127.0.0.1:${port}"]
[routes.new-${n}]
path = "/new/${n}/"
upstream = "new-${n}"
`
}

/** A path of the newest route of a generation. */
export const newestPath = (generation: number) => `/new/${generation + NEWCOMERS - 1}/small`
