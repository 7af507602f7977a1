import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scope } from '../../faults/scope.ts'
import { freePorts } from '../ports.ts'
import { PROXY_CORE, Processes } from '../processes.ts'

export interface ProxyProcess {
  readonly folder: string
  readonly port: number
  readonly child: ChildProcess
  /** File that has its stdout and stderr. */
  readonly output: string
}

/** Starts a proxy in a folder of its own; `prepare` writes its files there and gives its command. */
export async function startProxy(
  scope: Scope,
  name: string,
  prepare: (place: { readonly folder: string; readonly port: number }) => readonly string[],
): Promise<ProxyProcess> {
  const folder = mkdtempSync(join(tmpdir(), `causeway-faults-${name}-`))
  scope.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [port = 0] = await freePorts(1)
  const processes = new Processes()
  // A run that breaks off leaves nobody behind.
  const kill = () => processes.killNow()
  process.once('exit', kill)
  scope.teardown(async () => {
    await processes.stopAll()
    process.off('exit', kill)
  })
  const output = join(folder, 'output.log')
  const child = processes.start(prepare({ folder, port }), { core: PROXY_CORE, output })
  return { folder, port, child, output }
}
