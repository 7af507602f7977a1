import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { writeTrouble } from '../base/writable-folder.ts'
import type { Address } from './model.ts'
import type { Subject } from './references.ts'
import { type Path, placeOf } from './tree.ts'

/** Files and sockets that a start could not open or make: it would fail, so `check` refuses. */
export function checkFilesystem(subject: Subject): void {
  checkAccessLog(subject)
  for (const [name, { address }] of subject.settings.listeners)
    checkSocket(subject, ['listeners', name, 'address'], address)
  const { admin } = subject.settings
  if (admin !== undefined) checkSocket(subject, ['admin', 'address'], admin.address)
}

function checkAccessLog({ settings, root, report }: Subject): void {
  const access = settings.log?.access
  if (access?.kind !== 'file') return
  const path = resolve(access.path)
  const at = placeOf(root, ['log', 'access'])
  const fault = fileFault(path)
  if (fault !== undefined) report.error(at, `the access log ${path} ${fault}`, 'name another file')
  if (fault !== undefined || statOf(path) !== undefined) return
  const folder = dirname(path)
  const trouble = writeTrouble(folder)
  if (trouble === undefined) return
  const message = `the folder of the access log, ${folder}, ${trouble.what}`
  if (trouble.full) report.warning(at, `${message}: access lines will be lost`, trouble.hint)
  else report.error(at, message, trouble.hint)
}

/** Undefined if it may be written, or is not there yet. Nothing is written, and a pipe without a reader is not waited for. */
function fileFault(path: string): string | undefined {
  const stats = statOf(path)
  if (stats === undefined) return undefined
  if (stats.isDirectory()) return 'is a folder'
  if (!stats.isFile()) return undefined
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_APPEND))
    return undefined
  } catch {
    return `cannot be written by this user (uid ${process.geteuid?.() ?? 'unknown'})`
  }
}

function checkSocket({ root, report }: Subject, at: Path, address: Address): void {
  if (address.kind !== 'unix') return
  const path = resolve(address.path)
  const place = placeOf(root, at)
  try {
    if (!lstatSync(path).isSocket()) report.error(place, `${path} is there already and is not a socket`)
  } catch {
    const folder = dirname(path)
    const trouble = writeTrouble(folder)
    if (trouble !== undefined && !trouble.full)
      report.error(place, `the folder of the socket, ${folder}, ${trouble.what}`, trouble.hint)
  }
}

function statOf(path: string) {
  return statSync(path, { throwIfNoEntry: false })
}
