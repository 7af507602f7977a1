import t from 'tap'
import type { StatusDocument } from '../lib/server/admin/status.ts'
import { statusPage } from '../lib/server/admin/status-page.ts'
import { SPOOL, statusOf } from './support/status-document.ts'

const pageOf = (changes: Partial<StatusDocument>) => statusPage(statusOf(changes)).html

t.test('every problem has its line, whatever the verdict names', async t => {
  t.notMatch(pageOf({}), '<h2>Problems')
  const html = pageOf({
    log_problems: [
      'log stdout: its reader is too slow; 7 lines lost so far',
      'log /var/log/<access>: no space left on the device; 9 lines lost so far',
    ],
    certificate_problems: ['listener "web": site.pem is empty'],
    endpoint_problem: 'new endpoints rejected, the previous ones stay in use: too many',
    spool: { ...SPOOL, problem: '/var/spool cannot be written' },
  })
  const [, problems = ''] = /<h2>Problems.*?<pre>(.*?)<\/pre>/s.exec(html) ?? []
  t.same(problems.split('\n'), [
    'listener &quot;web&quot;: site.pem is empty',
    'log stdout: its reader is too slow; 7 lines lost so far',
    'log /var/log/&lt;access&gt;: no space left on the device; 9 lines lost so far',
    'new endpoints rejected, the previous ones stay in use: too many',
    '/var/spool cannot be written',
  ])
})
