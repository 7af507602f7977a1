import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FrontKind, Plan } from '../../faults/front.ts'
import { startProxy } from './proxy-process.ts'

/** What nginx is given against failures: other servers in turn, for whatever may be sent again. */
const NEXT = 'proxy_next_upstream error timeout http_500 http_502 http_503 http_504;'

function configOf(folder: string, port: number, plan: Plan): string {
  return `
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 2;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 4096; }
http {
  client_body_temp_path ${folder}/tmp-body;
  proxy_temp_path ${folder}/tmp-proxy;
  fastcgi_temp_path ${folder}/tmp-fastcgi;
  uwsgi_temp_path ${folder}/tmp-uwsgi;
  scgi_temp_path ${folder}/tmp-scgi;
  log_format account '$uri $upstream_bytes_sent';
  access_log ${folder}/access.log account;
  keepalive_timeout 75s;
  keepalive_requests 1000000;
${plan.resolver === undefined ? upstreamOf(plan) : `  resolver ${plan.resolver} valid=1s ipv6=off;`}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ${plan.resolver === undefined ? '' : `set $app ${plan.endpoints[0]};`}
    location / {
      proxy_pass http://${plan.resolver === undefined ? 'app' : '$app'};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_connect_timeout 2s;
      proxy_read_timeout ${plan.responseMs ?? 60_000}ms;
      ${NEXT}
    }
  }
}
`
}

function upstreamOf({ endpoints, changed = false }: Plan): string {
  return `
  upstream app {
    zone app 256k;
    ${changed ? 'least_conn' : 'random two least_conn'};
${endpoints.map(address => `    server ${address};`).join('\n')}
    keepalive ${changed ? 32 : 64};
  }`
}

/**
 * Requests of which no upstream was sent a byte, by `$upstream_bytes_sent`: one number an attempt, `-` for
 * none.
 */
function unsentIn(log: string): ReadonlySet<string> {
  const lines = log.split('\n').filter(line => /^\S+ [-0, :]+$/.test(line))
  return new Set(lines.map(line => line.split(' ')[0]?.split('/').at(-1) ?? ''))
}

/** nginx with its best usual configuration for apps that fail. */
export const nginx: FrontKind = {
  name: 'nginx',
  needs: 'nginx',
  start: async (scope, plan) => {
    const proxy = await startProxy(scope, 'nginx', ({ folder, port }) => {
      writeFileSync(join(folder, 'nginx.conf'), configOf(folder, port, plan))
      return ['nginx', '-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')]
    })
    const { folder, port, child } = proxy
    return {
      port,
      reload: async next => {
        writeFileSync(join(folder, 'nginx.conf'), configOf(folder, port, next))
        child.kill('SIGHUP')
      },
      unsent: async () => {
        // Its workers write what they have logged at once; the master's end says that all have.
        child.kill('SIGQUIT')
        if (child.exitCode === null) await once(child, 'exit')
        return unsentIn(readFileSync(join(folder, 'access.log'), 'utf8'))
      },
    }
  },
}
