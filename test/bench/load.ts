import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { LOAD_CORE, type Processes } from './processes.ts'

export interface LoadResult {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  /** Requests without an answer, or with a status of 400 and above. */
  readonly failed: number
}

export interface LoadOptions {
  readonly url: string
  readonly seconds: number
  readonly connections: number
  /** `close`: a new connection a request. */
  readonly connection: 'keep-alive' | 'close'
}

const SCRIPT = join(import.meta.dirname, 'browser.lua')

/** One run of wrk, one thread on the load's core, as fast as the proxy answers. */
export async function runLoad(processes: Processes, options: LoadOptions): Promise<LoadResult> {
  const whole = Math.max(1, Math.round(options.seconds)) // wrk takes whole seconds
  const args = ['-t1', `-c${options.connections}`, `-d${whole}s`, '-s', SCRIPT, options.url]
  const child = spawn('taskset', ['-c', String(LOAD_CORE), 'wrk', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BENCH_CONNECTION: options.connection },
    timeout: (whole + 15) * 1000,
  })
  processes.own(child)
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return parse(output)
}

function parse(output: string): LoadResult {
  const line = output.split('\n').find(line => line.startsWith('{'))
  if (line === undefined) throw new Error(`wrk gave no result:\n${output}`)
  const { requests, micros, p50Us, p99Us, failed } = JSON.parse(line) as Record<string, number>
  if (!requests || !micros) throw new Error(`wrk completed no request:\n${output}`)
  return {
    requests,
    requestsPerSecond: (requests * 1e6) / micros,
    p50Us: p50Us ?? 0,
    p99Us: p99Us ?? 0,
    failed: failed ?? 0,
  }
}
