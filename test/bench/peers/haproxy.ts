import { join } from 'node:path'
import type { Peer, Place } from '../peer.ts'

const LOG_FORMAT = [
  ['time', '%[date,ltime(%Y-%m-%dT%H:%M:%S)]'],
  ['req_id', '%ID'],
  ['client_ip', '%ci'],
  ['proto', '%HV'],
  ['method', '%HM'],
  ['path', '%[capture.req.uri,json(utf8s)]'],
  ['status', '%ST'],
  ['dur_ms', '%Ta'],
  ['bytes_in', '%U'],
  ['bytes_out', '%B'],
  ['user_agent', '%[capture.req.hdr(0),json(utf8s)]'],
  ['endpoint', '%s'],
  ['upstream_ms', '%Tr'],
  ['end', '%ts'],
]
  .map(([name, value]) => `\\"${name}\\":\\"${value}\\"`)
  .join(',')

const tlsOf = ({ tls }: Place) => (tls === undefined ? '' : ` ssl crt ${tls.bundleFile} alpn h2,http/1.1`)

const config = (place: Place) => `
global
  nbthread 1
  maxconn 18000
  no strict-limits
  log stdout format raw local0
  hard-stop-after 2s
defaults
  mode http
  log global
  option http-keep-alive
  http-reuse always
  timeout connect 2s
  timeout client 75s
  timeout http-keep-alive 75s
  timeout server 60s
frontend web
  bind 127.0.0.1:${place.port} backlog 4096${tlsOf(place)}
  maxconn 18000
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  capture request header User-Agent len 128
  log-format "{${LOG_FORMAT}}"
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto ${place.tls === undefined ? 'http' : 'https'}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  default_backend app
backend app
  balance random(2)
${place.upstreamPorts.map((port, i) => `  server app${i} 127.0.0.1:${port}`).join('\n')}
`

/** HAProxy on one thread; its log goes to stdout, which is a file here. Its counters are always on. */
export const haproxy: Peer = {
  name: 'haproxy',
  needs: 'haproxy',
  servesFiles: false,
  launch: place => ({
    command: ['haproxy', '-db', '-f', join(place.folder, 'haproxy.cfg')],
    files: { 'haproxy.cfg': config(place) },
    logsToStdout: true,
  }),
}
