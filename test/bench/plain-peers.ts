import { join } from 'node:path'
import { nginxFrame } from './nginx-conf.ts'
import type { Launch, Peer, Place } from './peer.ts'

// Proxies that only pass requests on, each on one thread: for runs that ask how they share out work, not what
// a request costs.

/** What is proxied to a group of endpoints. */
export interface Pool {
  /** Path that starts with `/` and ends with one. */
  readonly path: string
  readonly ports: readonly number[]
}

const whole = (place: Place): readonly Pool[] => [{ path: '/', ports: place.upstreamPorts }]

/**
 * One pool an endpoint, each below a path of its own: `/0/`, `/1/`; and the first one for all other paths.
 */
export function poolsOf(place: Place): readonly Pool[] {
  const apart = place.upstreamPorts.map((port, i) => ({ path: `/${i}/`, ports: [port] }))
  return [...apart, { path: '/', ports: place.upstreamPorts.slice(0, 1) }]
}

export interface PlainOptions {
  /** Lines of every upstream, in the proxy's own words. */
  readonly upstream: string
  readonly pools?: (place: Place) => readonly Pool[]
}

/** Causeway as it is published, with one data thread. `scheme`: in front of each endpoint's address. */
export function plainCauseway({
  upstream,
  scheme = '',
  pools = whole,
}: PlainOptions & { readonly scheme?: string }): Peer {
  const poolText = ({ path, ports }: Pool, i: number) => `
[upstreams.app${i}]
endpoints = [${ports.map(port => `"${scheme}127.0.0.1:${port}"`).join(', ')}]
${upstream}
[routes.app${i}]
path = "${path}"
upstream = "app${i}"`
  const config = (place: Place) => `
[server]
workers = 1
drain = "1s"
[log]
level = "warn"
access = "off"
[admin]
address = "127.0.0.1:${place.adminPort}"
[listeners.web]
address = "127.0.0.1:${place.port}"
limits = { connections = 18000 }
${pools(place).map(poolText).join('')}
`
  const command = (place: Place) => [
    ...[process.execPath, 'dist/cmd/causeway.js', 'run'],
    ...['--config', join(place.folder, 'causeway.toml')],
  ]
  return peer('causeway', 'node', place => ({
    command: command(place),
    env: { NODE_ENV: 'production' },
    files: { 'causeway.toml': config(place) },
  }))
}

/**
 * nginx with one worker. `keepalive`: unused connections it keeps to the app; 0: one connection a request,
 * its default.
 */
export function plainNginx({
  upstream,
  keepalive,
  pools = whole,
}: PlainOptions & { readonly keepalive: number }): Peer {
  const poolText = ({ path, ports }: Pool, i: number) => ({
    upstream: `
  upstream app${i} {
    zone app${i} 128k;
    ${upstream}
${ports.map(port => `    server 127.0.0.1:${port};`).join('\n')}
    ${keepalive === 0 ? '' : `keepalive ${keepalive}; keepalive_requests 1000000000;`}
  }`,
    location: `
    location ${path} {
      proxy_pass http://app${i};
      proxy_set_header Host $http_host;
      ${keepalive === 0 ? '' : 'proxy_http_version 1.1; proxy_set_header Connection "";'}
    }`,
  })
  const config = (place: Place) => {
    const texts = pools(place).map(poolText)
    return nginxFrame(
      place.folder,
      `  access_log off;
  keepalive_timeout 75s;
${texts.map(text => text.upstream).join('')}
  server {
    listen 127.0.0.1:${place.port} backlog=4096;
${texts.map(text => text.location).join('')}
  }`,
    )
  }
  return peer('nginx', 'nginx', place => ({
    command: [
      ...['nginx', '-p', place.folder, '-e', join(place.folder, 'error.log')],
      ...['-c', join(place.folder, 'nginx.conf')],
    ],
    files: { 'nginx.conf': config(place) },
  }))
}

/** HAProxy on one thread. `server`: words behind each server's address. */
export function plainHaproxy({
  upstream,
  server = '',
  pools = whole,
}: PlainOptions & { readonly server?: string }): Peer {
  const poolText = ({ ports }: Pool, i: number) => `
backend app${i}
  ${upstream}
${ports.map((port, n) => `  server app${i}-${n} 127.0.0.1:${port} ${server}`).join('\n')}`
  const config = (place: Place) => `
global
  nbthread 1
  maxconn 18000
  no strict-limits
  hard-stop-after 2s
defaults
  mode http
  option http-keep-alive
  http-reuse always
  retries 3
  retry-on conn-failure empty-response
  timeout connect 2s
  timeout queue 60s
  timeout client 75s
  timeout server 60s
frontend web
  bind 127.0.0.1:${place.port} backlog 4096
  maxconn 18000
  http-request disable-l7-retry if METH_POST
${pools(place)
  .map(({ path }, i) => `  use_backend app${i} if { path_beg ${path} }`)
  .join('\n')}
${pools(place).map(poolText).join('')}
`
  return peer('haproxy', 'haproxy', place => ({
    command: ['haproxy', '-db', '-f', join(place.folder, 'haproxy.cfg')],
    files: { 'haproxy.cfg': config(place) },
  }))
}

const peer = (name: string, needs: string, launch: (place: Place) => Launch): Peer => ({
  name,
  needs,
  servesFiles: false,
  launch,
})
