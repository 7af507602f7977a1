import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { shortFolder } from './short-folder.ts'

/** File systems are mounted by root, or by whoever may become root without a password. */
function asRoot(program: string, ...args: readonly string[]): void {
  const command = process.geteuid?.() === 0 ? [program, ...args] : ['sudo', '-n', program, ...args]
  execFileSync(command[0] ?? program, command.slice(1), { stdio: 'pipe' })
}

/** A file system of its own, so small that a test can fill it. Gone with the test. */
export class SmallDisk {
  readonly folder: string
  readonly #filler: string

  private constructor(folder: string) {
    this.folder = folder
    this.#filler = join(folder, 'filler')
  }

  static mount(t: Pick<Test, 'teardown'>, mebibytes: number): SmallDisk {
    const folder = shortFolder(t)
    asRoot('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=1777`, 'tmpfs', folder)
    t.teardown(() => asRoot('umount', '--lazy', folder))
    return new SmallDisk(folder)
  }

  /** Takes all that is left. */
  fill(): void {
    try {
      for (;;) writeFileSync(this.#filler, Buffer.alloc(4096), { flag: 'a' })
    } catch (error) {
      if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'ENOSPC') throw error
    }
  }

  empty(): void {
    rmSync(this.#filler)
  }

  /** As after an error of the disk: files that are open stay so, no other can be made. */
  makeReadOnly(): void {
    asRoot('mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', this.folder)
  }

  makeWritable(): void {
    asRoot('umount', this.folder)
  }
}

/** Why none can be mounted here; false if one can. In CI there is no such reason. */
export function noSmallDisk(): string | false {
  const leave: (() => unknown)[] = []
  try {
    SmallDisk.mount({ teardown: undo => leave.unshift(undo) } as Pick<Test, 'teardown'>, 1)
    return false
  } catch (error) {
    if (process.env['CI']) throw error
    return 'this user may not mount a file system'
  } finally {
    for (const undo of leave) undo()
  }
}
