import { X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { parseArgs } from 'node:util'
import { type MadeCertificate, TestAuthority } from '../support/certificates.ts'
import { runInScope, type ScopedRun } from '../support/scoped-run.ts'
import { until } from '../support/until.ts'
import { tableOf } from './bench-run.ts'
import { causeway, type Front, nginx } from './certificates/fronts.ts'
import { HandshakeLoad, type LoadSeen } from './certificates/load.ts'
import { type Place, WAYS, type Way } from './certificates/places.ts'

// A certificate is replaced many times while clients come in at a steady rate, none of which may fail: `node
// test/bench/certificates.ts`. By renamed files, where the pair does not match for a moment, and as
// Kubernetes does it.

const USAGE = `node test/bench/certificates.ts [options]
  --times N        replacements, for each of the two ways (50)
  --per-second N   full handshakes a second (500)
  --only A,B       of ${WAYS.map(({ name }) => name).join(', ')} (all)
  --front NAME     causeway or nginx, which is told by a signal (causeway)
Exit code 1 when a handshake failed or the load was not what it should have been.
`

const LONGEST_MS = 1_200_000
/** Time for a replaced certificate to be shown everywhere. */
const SHOWN_MS = 30_000
/** In a row, on connections of their own: several data threads answer. */
const LOOKS = 8
/** The load goes on behind each replacement, so that what breaks a moment later is seen. */
const AFTER_MS = 300

interface Options {
  readonly times: number
  readonly perSecond: number
}

interface Row extends LoadSeen {
  readonly way: string
  readonly slowestMs: number
}

const serialOf = ({ certificate }: MadeCertificate) => new X509Certificate(certificate).serialNumber

/** The serial number of the certificate that a new connection is shown; undefined where none came about. */
function serialShown(port: number): Promise<string | undefined> {
  return new Promise(done => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false })
    socket.once('secureConnect', () => {
      done(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once('error', () => done(undefined))
  })
}

/** Resolves when new connections are shown this certificate and no other. */
async function untilShown(port: number, files: MadeCertificate): Promise<void> {
  const serial = serialOf(files)
  await until(
    `the certificate ${serial}`,
    async () => {
      for (let look = 0; look < LOOKS; look += 1) {
        if ((await serialShown(port)) !== serial) return false
      }
      return true
    },
    SHOWN_MS,
  )
}

async function replaceAll(front: Front, place: Place, all: readonly MadeCertificate[]): Promise<number> {
  let slowestMs = 0
  for (const [i, files] of all.entries()) {
    const startMs = performance.now()
    place.put(files)
    front.replaced()
    await untilShown(front.port, files)
    slowestMs = Math.max(slowestMs, performance.now() - startMs)
    if ((i + 1) % 10 === 0) process.stderr.write(`${i + 1} of ${all.length} replaced\n`)
    await new Promise(done => setTimeout(done, AFTER_MS))
  }
  return slowestMs
}

async function measure(run: ScopedRun, way: Way, kind: typeof causeway, options: Options) {
  process.stderr.write(`${way.name}: ${options.times} certificates are made\n`)
  const folder = join(run.folder, way.name)
  mkdirSync(folder)
  const authority = new TestAuthority(folder)
  const [first, ...all] = Array.from({ length: options.times + 1 }, () =>
    authority.issue({ names: ['localhost', '127.0.0.1'] }),
  )
  const place = way.open(join(folder, 'served'), first as MadeCertificate)
  const front = await kind(run.scope, place)
  await untilShown(front.port, first as MadeCertificate)
  const load = await HandshakeLoad.start(run.scope, {
    ...{ port: front.port, perSecond: options.perSecond, authority: authority.file },
  })
  const slowestMs = await replaceAll(front, place, all)
  const row: Row = { way: way.name, slowestMs, ...(await load.stop()) }
  await front.stop()
  return row
}

/** Why a run shows nothing, or something bad. */
function complaintsOf({ way, failed, perSecond, certificates }: Row, options: Options): readonly string[] {
  const complaints: string[] = []
  if (failed > 0) complaints.push(`${way}: ${failed} handshakes failed`)
  if (perSecond < 0.9 * options.perSecond) {
    complaints.push(`${way}: this machine did not bear the load, so nothing is shown`)
  }
  if (certificates < 0.9 * options.times) {
    complaints.push(`${way}: clients were shown only ${certificates} of ${options.times} certificates`)
  }
  return complaints
}

function render(rows: readonly Row[]): string {
  const head = [
    'way',
    'handshakes',
    'a second',
    'failed',
    'what failed',
    'certificates seen',
    'slowest to be shown',
  ]
  const cells = rows.map(row => [
    ...[row.way, String(row.handshakes), row.perSecond.toFixed(0), String(row.failed)],
    ...[row.failures, String(row.certificates), `${row.slowestMs.toFixed(0)} ms`],
  ])
  return tableOf(head, cells)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new TypeError(`--${name}: expected a number above 0, got "${text}"`)
  return value
}

async function main(run: ScopedRun): Promise<number> {
  const { values } = parseArgs({
    options: {
      times: { type: 'string', default: '50' },
      'per-second': { type: 'string', default: '500' },
      only: { type: 'string' },
      front: { type: 'string', default: 'causeway' },
    },
  })
  const options: Options = {
    times: positive('times', values.times),
    perSecond: positive('per-second', values['per-second']),
  }
  const kind = { causeway, nginx }[values.front]
  if (kind === undefined) throw new TypeError(`--front: no front "${values.front}"`)
  const rows: Row[] = []
  for (const way of WAYS) {
    if (values.only?.split(',').includes(way.name) ?? true) rows.push(await measure(run, way, kind, options))
  }
  process.stdout.write(render(rows))
  const complaints = rows.flatMap(row => complaintsOf(row, options))
  for (const complaint of complaints) process.stdout.write(`${complaint}\n`)
  return complaints.length > 0 ? 1 : 0
}

await runInScope({ name: 'certificates', usage: USAGE, longestMs: LONGEST_MS }, main)
