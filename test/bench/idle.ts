import { type ChildProcess, spawn } from 'node:child_process'
import { on } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { treeResidentKiB } from './proc-stat.ts'
import { LOAD_CORE, type Processes } from './processes.ts'

const SCRIPT = join(import.meta.dirname, 'idle-client.ts')
/** Opened before the count begins, so that code, tables and free lists have their size. */
const FIRST = 2000
const SETTLE_MS = 2000
const OPEN_MS = 60_000

function startClient(processes: Processes, port: number): ChildProcess {
  const command = [
    '-c',
    'ulimit -n "$(ulimit -Hn)"; exec taskset -c "$@"',
    'sh',
    String(LOAD_CORE),
    process.execPath,
  ]
  return processes.own(
    spawn('sh', [...command, SCRIPT, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
}

/**
 * What one idle keep-alive connection costs in resident memory of the proxy, in KiB: the growth from 2000 to
 * 2000 + `connections` open ones, divided by their number.
 */
export async function idleCostKiB(
  processes: Processes,
  proxyPid: number,
  port: number,
  connections: number,
): Promise<number> {
  const client = startClient(processes, port)
  const signal = AbortSignal.timeout(OPEN_MS)
  if (client.stdout === null || client.stdin === null) throw new Error('the idle client has no pipes')
  const { stdin } = client
  const lines = on(createInterface({ input: client.stdout }), 'line', { signal })
  const residentWith = async (count: number) => {
    stdin.write(`${count}\n`)
    const open = Number((await lines.next()).value?.[0])
    if (open !== count) throw new Error(`only ${open} of ${count} connections stayed open`)
    await delay(SETTLE_MS)
    return treeResidentKiB(proxyPid)
  }
  try {
    const before = await residentWith(FIRST)
    return ((await residentWith(FIRST + connections)) - before) / connections
  } finally {
    await processes.stop(client)
  }
}
