import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../lib/config/load.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { explain, readQuestion } from '../lib/server/admin/explanation.ts'

const SITE = `
[listeners.edge]
address = "127.0.0.1:8443"
tls = "passthrough"
[upstreams.db]
endpoints = ["db:5433"]
[tunnels.db]
hosts = ["db.example.com"]
upstream = "db"
`
const WEB = `
[listeners.web]
address = "127.0.0.1:8080"
[upstreams.web]
endpoints = ["web:8000"]
[routes.web]
upstream = "web"
`

async function load(t: Test, text: string) {
  return loadConfig(join(t.testdir({ 'c.toml': text }), 'c.toml'), {})
}

async function messages(t: Test, text: string): Promise<string> {
  const loaded = await load(t, text)
  return formatProblems(loaded.ok ? loaded.warnings : loaded.problems)
}

t.test('a site of tunnels alone is right: it needs no route', async t => {
  const loaded = await load(t, SITE)
  t.equal(loaded.ok, true)
  t.equal(await messages(t, SITE), '')
})

t.test(
  'endpoints behind a tunnel get bytes as they come: whatever else is spoken there is a mistake',
  async t => {
    for (const endpoint of ['https://db:5433', 'h2://db:5433', 'h2c://db:5433', 'uwsgi://db:5433']) {
      const text = await messages(t, SITE.replace('db:5433', endpoint))
      t.match(
        text,
        /error: upstream "db" is behind a tunnel: its endpoints receive the bytes of clients unchanged/,
      )
      t.match(text, `this one uses ${endpoint.split(':')[0]}`)
    }
    const run = 'run = { command = ["app", "{socket}"], protocol = "uwsgi" }'
    t.match(
      await messages(t, SITE.replace('endpoints = ["db:5433"]', run)),
      /error: .*unchanged, so uwsgi is not possible/,
    )
    for (const endpoint of ['http://db:5433', 'unix:/run/db.sock'])
      t.equal(await messages(t, SITE.replace('db:5433', endpoint)), '')
    const elsewhere = await messages(t, SITE + WEB.replace('web:8000', 'https://web:8000'))
    t.equal(elsewhere, '', 'other upstreams are not meant')
  },
)

t.test('what looks into requests is warned of: an http probe, a hash of fields, a cookie', async t => {
  const upstream = (line: string) => SITE.replace('endpoints =', `${line}\nendpoints =`)
  t.match(
    await messages(t, upstream('health = {}')),
    /warning: .*so a plain HTTP probe fails[\s\S]*type = "tcp"/,
  )
  t.equal(await messages(t, upstream('health = { type = "tcp" }')), '')
  const hash = 'balance = "hash"\nhash_on = '
  t.match(await messages(t, upstream(`${hash}"uri"`)), /warning: .*client-ip is hashed instead/)
  t.equal(await messages(t, upstream(`${hash}"client-ip"`)), '')
  const sticky = upstream('sticky = { secret = "0123456789abcdef" }')
  t.match(await messages(t, sticky), /warning: .*sticky has no cookie to use/)
})

t.test('a tunnel for every host of a listener with certificates leaves these unused', async t => {
  const any = SITE.replace('hosts = ["db.example.com"]', '')
  t.equal(await messages(t, any), '')
  const auto = 'tls = "auto"'
  const routes = WEB.replace('[routes.web]', '[routes.web]\nhosts = ["www.example.com"]')
  const taken = await messages(t, any.replace('tls = "passthrough"', auto) + routes)
  t.match(
    taken,
    /warning: tunnel "db" matches every host of listener "edge": the certificates of that listener are never used/,
  )
  t.notMatch(await messages(t, SITE.replace('tls = "passthrough"', auto) + routes), /matches every host/)
})

t.test('explain says that a tunnel takes it, and where it does not', async t => {
  const ask = async (url: string) => {
    const loaded = await load(t, SITE + WEB)
    const question = readQuestion('GET', url)
    if (!loaded.ok || question === undefined) throw new Error('the test itself is wrong')
    return explain(loaded.snapshot, question)
  }
  const taken = await ask('https://db.example.com:8443/x')
  t.match(taken, { route: null, tunnel: 'db', others: [] })
  const text = taken.steps.join('\n')
  t.match(text, /^listener edge at 127\.0\.0\.1:8443: passed through by tunnel db without decryption$/m)
  t.match(text, /^upstream db, p2c over db:5433, which receive the bytes unchanged/m)
  t.match(text, /only if the first one was never reached; closed when idle for 1h/)
  const other = await ask('https://www.example.com:8443/')
  t.match(other, { tunnel: null })
  t.match(other.steps.join('\n'), /^listener edge at .*: refused, no tunnel matches this host$/m)
  const plain = await ask('http://db.example.com:8080/')
  t.match(plain, { route: 'web', tunnel: null })
  t.notMatch(plain.steps.join('\n'), /without decryption/)
  const both = await ask('https://db.example.com/')
  t.match(both, { route: 'web', tunnel: null }, 'something may lead port 443 to the plain listener')
  t.match(
    both.steps.join('\n'),
    /^listener edge at .*, if port 443 is forwarded there: passed through by tunnel db/m,
  )
})
