import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Scope } from '../../faults/scope.ts'

export interface LoadOptions {
  readonly port: number
  readonly perSecond: number
  /** File with the authority's certificate: whoever shows another certificate has failed. */
  readonly authority: string
}

/** What the client tells on its stdout. */
export interface Told {
  readonly micros: number
  readonly whole: number
  /** Different certificates that were shown. */
  readonly certificates: number
  /** Handshakes that failed, by error code. */
  readonly failures: Readonly<Record<string, number>>
}

export interface LoadSeen {
  readonly handshakes: number
  readonly perSecond: number
  readonly failed: number
  readonly failures: string
  readonly certificates: number
}

const SCRIPT = join(import.meta.dirname, 'client.ts')

/** A process that opens connections at a steady rate, whatever becomes of them, until it is stopped. */
export class HandshakeLoad {
  readonly #child: ChildProcess
  readonly #output: Promise<string>

  private constructor(child: ChildProcess, output: Promise<string>) {
    this.#child = child
    this.#output = output
  }

  /** Resolves when the first handshakes are on their way. */
  static async start(scope: Scope, options: LoadOptions): Promise<HandshakeLoad> {
    const child = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], {
      stdio: 'pipe',
    })
    scope.teardown(() => {
      child.kill('SIGKILL')
    })
    const output = text(child.stdout)
    await once(child.stderr.setEncoding('utf8'), 'data')
    child.stderr.pipe(process.stderr)
    return new HandshakeLoad(child, output)
  }

  /** Lets what has begun come to its end, and gives what clients have seen. */
  async stop(): Promise<LoadSeen> {
    const exit = once(this.#child, 'exit')
    this.#child.stdin?.end()
    const [output] = await Promise.all([this.#output, exit])
    if (output === '') throw new Error('the load told nothing')
    const { micros, whole, certificates, failures } = JSON.parse(output) as Told
    const words = Object.entries(failures)
    const failed = words.reduce((sum, [, count]) => sum + count, 0)
    return {
      handshakes: whole + failed,
      perSecond: ((whole + failed) * 1e6) / micros,
      failed,
      failures: words.map(([word, count]) => `${count} x ${word}`).join(', '),
      certificates,
    }
  }
}
