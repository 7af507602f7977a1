import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePorts } from '../bench/ports.ts'
import { boundCommand } from './bound-command.ts'
import { type MadeCertificate, TestAuthority } from './certificates.ts'
import { NameServer } from './name-server.ts'
import { until, within } from './until.ts'

export interface PebbleOptions {
  /** Where it tries http-01 and tls-alpn-01 challenges, whatever the name. */
  readonly httpPort: number
  readonly tlsPort: number
  /** Percent of good nonces that it refuses. */
  readonly refusedNonces?: number
  /** Key ids and MAC keys of accounts that every ACME account has to be bound to. */
  readonly externalAccounts?: Readonly<Record<string, string>>
}

/** False when Pebble is here, else the reason to skip; in CI there is no such reason. */
export function missingPebble(): string | false {
  if (spawnSync('pebble', ['-h']).error === undefined) return false
  if (process.env['CI']) throw new Error('there is no pebble (Debian: pebble)')
  return 'there is no pebble (Debian: pebble)'
}

/** Let's Encrypt's small ACME server, a real process on loopback, which forgets everything when it ends. */
export class Pebble {
  readonly directory: string
  /** File with the authority of its own https. */
  readonly ca: string
  /** What that https shows. */
  readonly own: MadeCertificate
  /** Where it looks names up. */
  readonly names: NameServer
  readonly #child: ChildProcess
  readonly #management: string
  output = ''

  static async start(t: Pick<Test, 'teardown'>, options: PebbleOptions): Promise<Pebble> {
    const folder = mkdtempSync(join(tmpdir(), 'causeway-pebble-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const authority = new TestAuthority(folder)
    const own = authority.issue({ names: ['localhost'] })
    const names = await NameServer.start(t)
    const [port = 0, managementPort = 0] = await freePorts(2) // it cannot choose them itself
    writeFileSync(join(folder, 'pebble.json'), configText(options, own, port, managementPort))
    const args = ['-config', join(folder, 'pebble.json'), '-dnsserver', names.address, '-strict']
    const env = {
      ...process.env,
      PEBBLE_VA_NOSLEEP: '1',
      PEBBLE_WFE_NONCEREJECT: String(options.refusedNonces ?? 5),
      PEBBLE_AUTHZREUSE: '0',
    }
    const child = spawn(...boundCommand('pebble', args), { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const pebble = new Pebble(child, names, { ca: authority.file, own }, port, managementPort)
    t.teardown(() => pebble.stop())
    await until(
      () => `Pebble to listen; it says: ${pebble.output}`,
      () => pebble.output.includes('ACME directory available at'),
    )
    return pebble
  }

  private constructor(
    child: ChildProcess,
    names: NameServer,
    { ca, own }: Pick<Pebble, 'ca' | 'own'>,
    port: number,
    managementPort: number,
  ) {
    this.#child = child
    this.names = names
    this.ca = ca
    this.own = own
    this.directory = `https://localhost:${port}/dir`
    this.#management = `https://localhost:${managementPort}`
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
  }

  /** Its root certificate, PEM text: what clients would have to trust. */
  async root(): Promise<string> {
    const asked = request(`${this.#management}/roots/0`, { ca: readFileSync(this.ca), agent: false }).end()
    const [answer] = await once(asked, 'response')
    let text = ''
    for await (const chunk of answer) text += chunk
    return text
  }

  /** How often its log says so. */
  count(pattern: RegExp): number {
    return [...this.output.matchAll(new RegExp(pattern, 'g'))].length
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await within('Pebble to end', ended)
  }
}

function configText(
  options: PebbleOptions,
  own: MadeCertificate,
  port: number,
  managementPort: number,
): string {
  const { httpPort, tlsPort, externalAccounts } = options
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: own.certificateFile,
    privateKey: own.keyFile,
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: externalAccounts !== undefined,
    ...(externalAccounts === undefined ? {} : { externalAccountMACKeys: externalAccounts }),
  }
  return JSON.stringify({ pebble })
}
