import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { LOAD_CORE, type Processes } from '../processes.ts'
import type { Done } from './measure.ts'

export interface HandshakeOptions {
  readonly port: number
  /** `resumed`: every one with a ticket (RFC 8446 2.2), so without a certificate and its signature. */
  readonly kind: 'full' | 'resumed'
  readonly seconds: number
}

/** What the client tells on its stdout. */
export interface Shaken {
  readonly whole: number
  readonly micros: number
  /**
   * What was not as it should be, with how often: errors by code, `resumed` and `not-resumed`, a wrong
   * protocol.
   */
  readonly wrong: Readonly<Record<string, number>>
}

const SCRIPT = join(import.meta.dirname, 'handshake-client.ts')

/**
 * TLS 1.3 handshakes and nothing else, one after the other on 32 connections at a time. `wrk` and `openssl
 * s_time` resume where they should not, or cannot without a request; this client checks of each handshake
 * which kind it was.
 */
export async function runHandshakes(processes: Processes, options: HandshakeOptions): Promise<Done> {
  const command = ['-c', String(LOAD_CORE), process.execPath, SCRIPT, JSON.stringify(options)]
  const child = spawn('taskset', command, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: (options.seconds + 15) * 1000,
  })
  processes.own(child)
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (output === '') throw new Error('the handshake client told nothing')
  const { whole, micros, wrong } = JSON.parse(output) as Shaken
  const kinds = Object.keys(wrong)
  const failed = kinds.reduce((sum, kind) => sum + (wrong[kind] ?? 0), 0)
  if (kinds.length > 0) process.stderr.write(`handshakes: ${JSON.stringify(wrong)}\n`)
  if (whole === 0) throw new Error(`no ${options.kind} handshake: ${JSON.stringify(wrong)}`)
  return { count: whole, perSecond: (whole * 1e6) / micros, failed }
}
