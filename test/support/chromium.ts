import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Test } from 'tap'
import { boundCommand } from './bound-command.ts'
import { DevTools } from './devtools.ts'
import { Page } from './page.ts'
import { within } from './until.ts'

/** For a browser to start on a machine that has much else to do. */
const START_MS = 60_000

export interface ChromiumOptions {
  /** Text of the one certificate that it trusts beyond those that it comes with. */
  readonly authority?: string
  /** Where names lead, `host:port` to `host:port`; all others do not exist. */
  readonly hosts: Readonly<Record<string, string>>
}

/**
 * False when Chromium and what makes its list of authorities are here, else the reason to skip; in CI there
 * is no such reason.
 */
export function missingChromium(): string | false {
  const lacking = ['chromium', 'certutil'].filter(name => spawnSync(name, ['--help']).error !== undefined)
  if (lacking.length === 0) return false
  const reason = `there is no ${lacking.join(', ')} (Debian: chromium libnss3-tools)`
  if (process.env['CI']) throw new Error(reason)
  return reason
}

/**
 * A real browser without a window, whose home is a folder of its own: nothing is known from before, and
 * nothing stays.
 */
export class Chromium {
  readonly #child: ChildProcess
  readonly #tools: DevTools
  output = ''

  static async start(t: Pick<Test, 'teardown'>, { authority, hosts }: ChromiumOptions): Promise<Chromium> {
    const home = mkdtempSync(join(tmpdir(), 'causeway-chromium-'))
    t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 10 }))
    if (authority !== undefined) trust(home, authority)
    const mapped = Object.entries(hosts).map(([from, to]) => `MAP ${from} ${to}`)
    const args = [
      ...FLAGS,
      `--user-data-dir=${join(home, 'profile')}`,
      `--host-resolver-rules=${[...mapped, 'MAP * ~NOTFOUND'].join(', ')}`,
      'about:blank',
    ]
    const child = spawn(...boundCommand('chromium', args), {
      env: { ...process.env, HOME: home },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      detached: true,
    })
    const chromium = new Chromium(child)
    t.teardown(() => chromium.stop())
    return chromium
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    const [, , , input, output] = child.stdio
    this.#tools = new DevTools(input as Writable, output as Readable)
  }

  /** A new, empty page that tells of its network, its console and its security. */
  async page(): Promise<Page> {
    const told = () => `the browser to open a page; it says: ${this.output}`
    const { targetId } = await within(
      told,
      this.#tools.ask('Target.createTarget', { url: 'about:blank' }),
      START_MS,
    )
    const { sessionId } = await this.#tools.ask('Target.attachToTarget', { targetId, flatten: true })
    const page = new Page(this.#tools, String(sessionId))
    for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await page.ask(`${domain}.enable`)
    return page
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    await within('the browser to end', Promise.all([ended, this.#tools.ask('Browser.close')])).catch(() => {
      // With all its processes.
      process.kill(-(this.#child.pid as number), 'SIGKILL')
    })
    await ended
  }
}

const FLAGS = [
  '--headless',
  // It needs rights that root and many CI machines do not have, and nothing but our own pages is loaded.
  '--no-sandbox',
  '--remote-debugging-pipe',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-proxy-server',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--window-size=900,700',
  // It would ask for https where http was typed, and the redirect to it would never be seen.
  '--disable-features=HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable',
]

/** The user's own list of authorities, which Chromium reads beside its own. */
function trust(home: string, authority: string): void {
  const folder = join(home, '.pki/nssdb')
  mkdirSync(folder, { recursive: true })
  const file = join(home, 'authority.pem')
  writeFileSync(file, authority)
  certutil(folder, '-N', '--empty-password')
  certutil(folder, '-A', '-n', 'authority of a test', '-t', 'C,,', '-i', file)
}

function certutil(folder: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('certutil', ['-d', `sql:${folder}`, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`certutil: ${stderr ?? error}`)
}
