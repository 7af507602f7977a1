import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { whyUnreadable } from '../base/errno-words.ts'
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
  const file = lookAtFile(path)
  if (file.state === 'faulty')
    report.error(at, `the access log ${path} ${file.fault}`, 'specify another file')
  if (file.state !== 'missing') return
  const folder = dirname(path)
  const trouble = writeTrouble(folder)
  if (trouble === undefined) return
  const message = `the folder of the access log, ${folder}, ${trouble.what}`
  if (trouble.full) report.warning(at, `${message}: access lines will be lost`, trouble.hint)
  else report.error(at, message, trouble.hint)
}

type LogFile = { readonly state: 'missing' | 'usable' } | { readonly state: 'faulty'; readonly fault: string }

/** Nothing is written, and a pipe without a reader is not waited for. */
function lookAtFile(path: string): LogFile {
  try {
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats === undefined) return { state: 'missing' }
    if (stats.isDirectory()) return { state: 'faulty', fault: 'is a folder' }
    if (stats.isFile()) closeSync(openSync(path, constants.O_WRONLY | constants.O_APPEND))
    return { state: 'usable' }
  } catch (error) {
    return { state: 'faulty', fault: faultOf(error as NodeJS.ErrnoException) }
  }
}

function faultOf(error: NodeJS.ErrnoException): string {
  return error.code === 'EACCES' || error.code === 'EPERM'
    ? `cannot be written by this user (uid ${process.geteuid?.() ?? 'unknown'})`
    : `cannot be opened: ${whyUnreadable(error)}`
}

function checkSocket({ root, report }: Subject, at: Path, address: Address): void {
  if (address.kind !== 'unix') return
  const path = resolve(address.path)
  const place = placeOf(root, at)
  try {
    if (!lstatSync(path).isSocket()) report.error(place, `${path} already exists and is not a socket`)
  } catch {
    const folder = dirname(path)
    const trouble = writeTrouble(folder)
    if (trouble !== undefined && !trouble.full)
      report.error(place, `the folder of the socket, ${folder}, ${trouble.what}`, trouble.hint)
  }
}
