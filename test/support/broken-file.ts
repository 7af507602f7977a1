import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'

/** One way in which a file may be found while a process runs that reads it. */
export interface BrokenForm {
  readonly name: string
  /** Puts it in the file's place. `good`: what the file held. */
  put(path: string, good: string): void
}

const GIBIBYTE = 1024 ** 3

/** What renewals, full disks, deploys and slips leave in a file's place. */
export const BROKEN_FORMS: readonly BrokenForm[] = [
  form('empty', path => writeFileSync(path, '')),
  form('cut short', (path, good) => writeFileSync(path, good.slice(0, -Math.ceil(good.length / 5)))),
  form('glued', (path, good) => writeFileSync(path, good.replaceAll('\n', ''))),
  form('binary', path => writeFileSync(path, randomBytes(4096))),
  form('a folder', path => mkdirSync(path)),
  form('a FIFO that nobody writes to', path => execFileSync('mkfifo', [path])),
  form('of 1 GiB', (path, good) => {
    writeFileSync(path, good)
    truncateSync(path, GIBIBYTE)
  }),
  form('a link to itself', path => symlinkSync(path, path)),
  form('gone', () => undefined),
  ...(process.getuid?.() === 0
    ? []
    : [form('unreadable', (path, good) => writeFileSync(path, good, { mode: 0o200 }))]),
]

/** Puts the file back. */
export function mend(path: string, good: string): void {
  clear(path)
  writeFileSync(path, good)
}

function form(name: string, put: (path: string, good: string) => void): BrokenForm {
  return {
    name,
    put(path, good) {
      clear(path)
      put(path, good)
    },
  }
}

function clear(path: string): void {
  rmSync(path, { recursive: true, force: true })
}
