import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FrontKind, Plan } from '../../faults/front.ts'
import { startProxy } from './proxy-process.ts'

function configOf(folder: string, port: number, plan: Plan): string {
  return `
global
  nbthread 2
  maxconn 8000
  no strict-limits
  log stdout format raw local0
  stats socket ${folder}/admin.sock mode 600 level admin expose-fd listeners
  hard-stop-after 30s
defaults
  mode http
  log global
  log-format "%HP %ts"
  option http-keep-alive
  timeout connect 2s
  timeout client 75s
  timeout http-keep-alive 75s
  timeout queue 10s
  timeout server ${plan.responseMs ?? 60_000}ms
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response response-timeout 500 502 503 504
${plan.resolver === undefined ? '' : resolversOf(plan.resolver)}
frontend web
  bind 127.0.0.1:${port} backlog 4096
  http-request disable-l7-retry if METH_POST
  http-request set-header X-Forwarded-For %[src]
  default_backend app
backend app
  balance ${plan.changed ? 'leastconn' : 'random(2)'}
  option httpchk GET /healthz
  default-server check inter 1s fastinter 200ms rise 2 fall 3 maxconn ${plan.slots} observe layer7 error-limit 3 on-error mark-down
${plan.resolver === undefined ? serversOf(plan) : `  server-template app 3 ${plan.endpoints[0]} resolvers names init-addr none`}
`
}

function serversOf({ endpoints }: Plan): string {
  return endpoints.map(address => `  server app-${address.replace(':', '-')} ${address}`).join('\n')
}

const resolversOf = (address: string) => `
resolvers names
  nameserver here ${address}
  timeout resolve 1s
  timeout retry 1s
  hold valid 1s`

/**
 * Requests that ended in the queue, or before their connection stood: `Q` and `C` as the second letter of
 * `%ts`.
 */
function unsentIn(log: string): ReadonlySet<string> {
  const lines = log.split('\n').filter(line => /^\/\S* .[QC]$/.test(line))
  return new Set(lines.map(line => line.split(' ')[0]?.split('/').at(-1) ?? ''))
}

/** HAProxy with its best usual configuration for apps that fail. */
export const haproxy: FrontKind = {
  name: 'haproxy',
  needs: 'haproxy',
  start: async (scope, plan) => {
    const { folder, port, child, output } = await startProxy(scope, 'haproxy', ({ folder, port }) => {
      writeFileSync(join(folder, 'haproxy.cfg'), configOf(folder, port, plan))
      return ['haproxy', '-W', '-db', '-f', join(folder, 'haproxy.cfg')]
    })
    return {
      port,
      reload: async next => {
        writeFileSync(join(folder, 'haproxy.cfg'), configOf(folder, port, next))
        child.kill('SIGUSR2')
      },
      unsent: async () => unsentIn(readFileSync(output, 'utf8')),
    }
  },
}
