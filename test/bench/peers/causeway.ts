import { join } from 'node:path'
import type { Peer, Place } from '../peer.ts'

const tlsOf = ({ tls }: Place) =>
  tls === undefined ? '' : `tls = { certificate = "${tls.certificateFile}", key = "${tls.keyFile}" }`

const config = (place: Place) => `
[server]
workers = 1
drain = "1s"
[log]
level = "warn"
access = "${place.accessLog}"
[admin]
address = "127.0.0.1:${place.adminPort}"
[listeners.web]
address = "127.0.0.1:${place.port}"
limits = { connections = 18000 }
${tlsOf(place)}
[upstreams.app]
endpoints = [${place.upstreamPorts.map(port => `"127.0.0.1:${port}"`).join(', ')}]
${place.tls === undefined ? '' : `keepalive = { max = ${place.upstreamIdle} }`}
[routes.static]
path = "/static/"
static = { root = "${place.staticRoot}" }
[routes.app]
path = "/"
upstream = "app"
`

/** Causeway as it is published: built, with one data thread and everything else by default. */
export const causeway: Peer = builtIn('causeway', '.')

/** Another checkout of Causeway, for the difference that a change makes: `folder` has its `dist/`. */
export function causewayBefore(folder: string): Peer {
  return builtIn('causeway-before', folder)
}

function builtIn(name: string, folder: string): Peer {
  return {
    name,
    needs: 'node',
    servesFiles: true,
    launch: place => ({
      command: [
        process.execPath,
        join(folder, 'dist/cmd/causeway.js'),
        'run',
        '--config',
        join(place.folder, 'causeway.toml'),
      ],
      env: { NODE_ENV: 'production' },
      files: { 'causeway.toml': config(place) },
    }),
  }
}
