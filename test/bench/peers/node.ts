import { join } from 'node:path'
import type { Peer } from '../peer.ts'

const peer = (name: string, script: string): Peer => ({
  name,
  needs: 'node',
  servesFiles: false,
  launch: place => ({
    command: [
      process.execPath,
      join(import.meta.dirname, script),
      String(place.port),
      ...place.upstreamPorts.map(String),
    ],
    env: { NODE_ENV: 'production', ACCESS_LOG: place.accessLog },
    files: {},
  }),
})

/** What one writes by hand: a node:http server in front of undici pools. */
export const nodeUndici = peer('node-undici', 'node-undici.ts')
/** The usual package. */
export const httpProxy3 = peer('http-proxy-3', 'http-proxy-3.ts')
