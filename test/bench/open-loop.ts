import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { LOAD_CORE, type Processes } from './processes.ts'

export interface OpenLoopOptions {
  readonly port: number
  readonly perSecond: number
  readonly durationMs: number
  /** `poisson`: arrivals of clients who know nothing of each other; `even`: always the same gap. */
  readonly arrivals: 'poisson' | 'even'
  /** Chooses the arrivals: the same number, the same arrivals. */
  readonly seed: number
  /** Once the last request has been sent, the load waits so long for answers. */
  readonly patienceMs: number
}

/** One request of an open-loop load; times in milliseconds since the load began. */
export interface Sent {
  readonly dueMs: number
  /** How late it was sent: what the load itself adds to the time of an answer. */
  readonly lateMs: number
  readonly endMs: number
  /** 0: the connection broke, or there was no answer until the load's patience ended. */
  readonly status: number
}

/**
 * Starts the load on its own core; requests are sent when they are due, whatever has become of the others.
 */
export async function runOpenLoop(processes: Processes, options: OpenLoopOptions): Promise<readonly Sent[]> {
  const script = join(import.meta.dirname, 'open-loop-client.ts')
  const args = ['-c', String(LOAD_CORE), process.execPath, script, JSON.stringify(options)]
  const child = spawn('taskset', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  processes.own(child)
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return JSON.parse(output) as readonly Sent[]
}

/** What clients saw of a load. */
export interface Seen {
  readonly requests: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** 99 of 100 requests were sent with less delay than this. */
  readonly lateP99Ms: number
}

/** Times run from when a request was due, so that a proxy that holds up the load gains nothing by it. */
export function seenOf(sent: readonly Sent[]): Seen {
  const times = sorted(sent.map(({ dueMs, endMs }) => endMs - dueMs))
  return {
    requests: sent.length,
    failed: sent.filter(({ status }) => status !== 200).length,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: quantile(times, 1),
    lateP99Ms: quantile(sorted(sent.map(({ lateMs }) => lateMs)), 0.99),
  }
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b)

function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
}
