import { Mount } from '../../lib/proxy/mount.ts'
import { never } from '../support/recording-upstream.ts'
import { readPacket } from '../support/strict-packet.ts'
import { type StrictHead, StrictRequestParser } from '../support/strict-request.ts'
import { type Asked, type JobBench, JobWorld, type Tap } from './job-bench.ts'

const MOUNT = new Mount({ stripPrefix: '/app', scriptName: '/app', rewriteAnswers: false }, 'auto')

const ASKED: Asked = {
  target: '/app/x%20y?q=1',
  host: 'example.test:8080',
  fields: [
    ['Accept', '*/*'],
    ['Cookie', 'a=1'],
    ['X-Forwarded-For', '192.0.2.99'],
    ['Connection', 'X-Hop'],
    ['Cookie', 'b=2'],
  ],
}

/** What an app is told whoever asks, by the lower-case names of HTTP. */
const TOLD = {
  accept: '*/*',
  cookie: 'a=1; b=2',
  'x-forwarded-for': '127.0.0.1',
  'x-real-ip': '127.0.0.1',
  'x-request-id': 'test',
}

/** Signature, version and command, family, length, addresses, ports. */
const PROXY_V2 = ['0d0a0d0a000d0a515549540a', '21', '11', '000c', '7f0000017f000001', 'c3501f90'].join('')

/** The same request is told to every app, whatever it speaks. */
export function jobForms(t: Tap, name: string, bench: JobBench): void {
  for (const [where, mount, target] of [
    ['at the root', undefined, '/app/x%20y?q=1'],
    ['below a prefix', MOUNT, '/x%20y?q=1'],
  ] as const)
    t.test(`${name}: its head says the same in HTTP/1, HTTP/2 and uwsgi, ${where}`, async t => {
      const world = await JobWorld.start(t, never)
      const client = bench.client(world, mount === undefined ? ASKED : { ...ASKED, mount })
      const { job } = client
      const head = headOf(job.headText)
      const { host, ...fields } = fieldsOf(head.fields)
      t.match(head, { method: 'GET', target })
      t.equal(host, ASKED.host)
      t.match(fields, TOLD)
      t.equal(fields['x-forwarded-prefix'], mount?.scriptName)
      t.notOk('connection' in fields)

      for (const scheme of ['http', 'https'] as const)
        t.same(pairsOf(job.http2Fields(scheme)), {
          ':method': 'GET',
          ':scheme': scheme,
          ':path': target,
          ':authority': ASKED.host,
          ...fields,
        })

      const variables = packetOf(job.uwsgiPacket())
      t.match(variables, {
        REQUEST_METHOD: 'GET',
        REQUEST_URI: ASKED.target,
        PATH_INFO: mount === undefined ? '/app/x y' : '/x y',
        QUERY_STRING: 'q=1',
        HTTP_HOST: ASKED.host,
      })
      t.equal(variables['SCRIPT_NAME'], mount?.scriptName)
      for (const [field, value] of Object.entries(fields))
        t.equal(variables[`HTTP_${field.toUpperCase().replaceAll('-', '_')}`], value, field)
      client.leave()
      await world.assertFree(t)
    })
}

/** An endpoint that wants to know the client by its connection is told of both ends of it. */
export function jobClients(t: Tap, name: string, bench: JobBench): void {
  t.test(`${name}: a PROXY header names both ends of the client's connection`, async t => {
    const world = await JobWorld.start(t, never)
    const { job } = bench.client(world, {})
    t.equal(job.proxyHeader('v1'), 'PROXY TCP4 127.0.0.1 127.0.0.1 50000 8080\r\n')
    t.equal(Buffer.from(job.proxyHeader('v2'), 'latin1').toString('hex'), PROXY_V2)
    await world.assertFree(t)
  })
}

function headOf(text: string): StrictHead {
  let found: StrictHead | undefined
  const dirty = (reason: string) => {
    throw new Error(reason)
  }
  const head = (read: StrictHead) => {
    found = read
  }
  new StrictRequestParser({ head, body: () => {}, end: () => {}, dirty }).push(Buffer.from(text, 'latin1'))
  if (found === undefined) throw new Error('no head')
  return found
}

/** By lower-case name. */
function fieldsOf(fields: StrictHead['fields']): Record<string, string> {
  return Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), value]))
}

function pairsOf(all: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {}
  for (let i = 0; i + 1 < all.length; i += 2) pairs[String(all[i])] = String(all[i + 1])
  return pairs
}

function packetOf(text: unknown): Record<string, string> {
  const packet = typeof text === 'string' ? readPacket(Buffer.from(text, 'latin1')) : undefined
  if (packet === undefined) throw new Error('no packet')
  return Object.fromEntries(packet.variables)
}
