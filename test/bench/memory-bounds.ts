import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * A memory cgroup with a limit of its own, version 1 or 2; whoever is in it is ended by the system beyond the
 * limit.
 */
export class MemoryCgroup {
  readonly #folder: string
  readonly #events: string

  constructor(mib: number) {
    const isFirst = existsSync('/sys/fs/cgroup/memory')
    this.#folder = `${isFirst ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup'}/causeway-bench-${process.pid}`
    this.#events = join(this.#folder, isFirst ? 'memory.failcnt' : 'memory.events')
    mkdirSync(this.#folder, { recursive: true })
    const limit = isFirst ? 'memory.limit_in_bytes' : 'memory.max'
    writeFileSync(join(this.#folder, limit), String(mib * 1024 * 1024))
  }

  take(pid: number): void {
    writeFileSync(join(this.#folder, 'cgroup.procs'), String(pid))
  }

  /** How often the limit was met. */
  get events(): string {
    return readFileSync(this.#events, 'utf8').trim().replaceAll('\n', ', ')
  }

  remove(): void {
    rmdirSync(this.#folder)
  }
}

/** The image in a container of podman with so much memory, on the network of the machine. */
export class MemoryContainer {
  /** Runs until the container ends. */
  readonly command: readonly string[]
  readonly #name = `causeway-bench-${process.pid}`

  constructor(image: string, mib: number, configFile: string) {
    const limits = ['--memory', `${mib}m`, '--memory-swap', `${mib}m`]
    const mount = ['--volume', `${configFile}:/bench.toml:ro`]
    const options = ['--rm', '--name', this.#name, '--network', 'host', ...limits, ...mount]
    this.command = ['podman', 'run', ...options, image, 'run', '--config', '/bench.toml']
  }

  /** The process on this machine that is the first one in the container. */
  async pid(): Promise<number> {
    for (let i = 0; i < 300; i += 1) {
      const asked = spawnSync('podman', ['inspect', '--format', '{{.State.Pid}}', this.#name])
      const pid = Number(asked.stdout.toString())
      if (pid > 0) return pid
      await delay(100)
    }
    throw new Error(`the container ${this.#name} does not start`)
  }
}
