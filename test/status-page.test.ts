import t from 'tap'
import type { StatusDocument } from '../lib/server/status.ts'
import { statusPage } from '../lib/server/status-page.ts'

function pageOf(changes: Partial<StatusDocument>): string {
  const status: StatusDocument = {
    version: '0.0.0',
    pid: 1,
    phase: 'ready',
    started_at: '2026-01-01T00:00:00.000Z',
    uptime_s: 1,
    generation: 1,
    hash: '',
    admin: '127.0.0.1:9180',
    listeners: [],
    threads: [],
    thread_restarts: { exit: 0, stuck: 0 },
    upstreams: [],
    routes: [],
    tunnels: [],
    spool: SPOOL,
    certificates: [],
    certificate_problems: [],
    log_problems: [],
    workers: [],
    warnings: [],
    last_reload: null,
    ...changes,
  }
  return statusPage(status).html
}

const SPOOL: StatusDocument['spool'] = {
  folder: '/tmp',
  problem: null,
  memory_bytes: 0,
  memory_limit_bytes: 1,
  file_bytes: 0,
  file_limit_bytes: 1,
}

t.test('every problem has its line, whatever the verdict names', async t => {
  t.notMatch(pageOf({}), '<h2>Problems')
  const html = pageOf({
    log_problems: [
      'log stdout: whoever reads it is too slow; 7 lines lost so far',
      'log /var/log/<access>: no space is left on the device; 9 lines lost so far',
    ],
    certificate_problems: ['listener "web": site.pem is empty'],
    spool: { ...SPOOL, problem: '/var/spool cannot be written' },
  })
  const [, problems = ''] = /<h2>Problems.*?<pre>(.*?)<\/pre>/s.exec(html) ?? []
  t.same(problems.split('\n'), [
    'listener &quot;web&quot;: site.pem is empty',
    'log stdout: whoever reads it is too slow; 7 lines lost so far',
    'log /var/log/&lt;access&gt;: no space is left on the device; 9 lines lost so far',
    '/var/spool cannot be written',
  ])
})
