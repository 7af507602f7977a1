import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { LOAD_CORE, type Processes } from '../processes.ts'
import type { Done } from './measure.ts'

export interface H2LoadOptions {
  readonly port: number
  readonly path: string
  readonly seconds: number
}

const CLIENTS = 100
const STREAMS = 10
const BROWSER = join(import.meta.dirname, '..', 'browser.lua')

/**
 * The fields that wrk sends in the other cases, less `Connection`, which HTTP/2 does not have (RFC 9113
 * 8.2.2).
 */
function browserFields(): readonly string[] {
  const set = /^wrk\.headers\["([^"]+)"\] = (["'])(.*)\2$/gm
  return [...readFileSync(BROWSER, 'utf8').matchAll(set)].map(([, name, , value]) => `${name}: ${value}`)
}

/**
 * One run of h2load over TLS, one thread on the load's core: 100 connections with 10 requests in flight on
 * each.
 */
export async function runH2Load(processes: Processes, { port, path, seconds }: H2LoadOptions): Promise<Done> {
  const shape = ['-t1', `-c${CLIENTS}`, `-m${STREAMS}`, `-D${seconds}`]
  const fields = browserFields().flatMap(field => ['-H', field])
  const args = [...shape, ...fields, `https://127.0.0.1:${port}${path}`]
  const child = spawn('taskset', ['-c', String(LOAD_CORE), 'h2load', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: (seconds + 15) * 1000,
  })
  processes.own(child)
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return parse(output)
}

/** Reads the summary; what had not been answered when the time was up counts nowhere. */
export function parse(output: string): Done {
  const perSecond = Number(/finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(output)?.[1])
  const requests =
    /(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(output)?.slice(1) ?? []
  const [count = 0, , failed = 0, , timedOut = 0] = requests.map(Number)
  const statuses = /(\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(output)?.slice(1).map(Number) ?? []
  const [, redirected = 0] = statuses
  const protocol = /Application protocol: (\S+)/.exec(output)?.[1]
  if (!(perSecond > 0) || count === 0 || protocol !== 'h2') {
    throw new Error(`h2load got nothing done over HTTP/2:\n${output}`)
  }
  // "failed" holds the errored ones and those with a status of 400 and above.
  return { count, perSecond, failed: failed + timedOut + redirected }
}
