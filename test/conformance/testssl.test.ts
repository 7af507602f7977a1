import t from 'tap'
import { bad, missingTestssl, notable, SCAN_MS, scan, startSite } from './findings.ts'

t.setTimeout(SCAN_MS)

t.test(
  'testssl.sh finds nothing of medium severity or worse at a listener that says no more than its certificates',
  { skip: missingTestssl() },
  async t => {
    const folder = t.testdir({})
    const findings = await scan(t, folder, await startSite(t, folder))
    for (const { severity, id, finding } of notable(findings)) t.comment(`${severity} ${id}: ${finding}`)
    t.same(bad(findings), [])
    const said = (id: string) => findings.find(found => found.id === id)?.finding
    t.match(said('TLS1_3'), /^offered/)
    t.match(said('TLS1_2'), /^offered/)
    t.equal(said('TLS1_1'), 'not offered')
    const keys = findings.filter(({ id }) => id.startsWith('cert_keySize'))
    t.equal(keys.length, 2, 'both certificates were seen')
  },
)
