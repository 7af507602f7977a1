import { resolve } from 'node:path'
import { type FileFault, readSmallFile } from '../base/small-file.ts'
import type { ErrorPage } from '../http/answer-policy.ts'
import { mediaTypeOf } from '../http/media.ts'
import type { Report } from './problem.ts'
import type { Settings } from './settings.ts'
import { type Path, placeOf, type Table } from './tree.ts'

/** Pages are sent with the snapshot to each thread, and held there. */
const MAX_PAGE_BYTES = 1024 * 1024

/** The texts of all error and maintenance pages, read when the configuration is. */
export interface ErrorPages {
  of(route: string): readonly ErrorPage[]
  maintenanceOf(route: string): ErrorPage | undefined
}

/** A page that cannot be read is an error: it would be missed only on the day that it is needed. */
export function readErrorPages({ routes }: Settings, root: Table, report: Report): ErrorPages {
  const pages = new Map<string, readonly ErrorPage[]>()
  const closed = new Map<string, ErrorPage>()
  const read = (path: Path, file: string, status: string): ErrorPage[] => {
    const page = readPage(file, status)
    if (typeof page !== 'string') return [page]
    report.error(
      placeOf(root, path),
      page,
      'specify the path of a small file, relative to the working directory',
    )
    return []
  }
  for (const [name, { errorPages, maintenance }] of routes) {
    const ofRoute = Object.entries(errorPages).flatMap(([status, file]) =>
      read(['routes', name, 'error_pages', status], file, status),
    )
    // A single status goes before its whole class.
    pages.set(
      name,
      ofRoute.toSorted((a, b) => a.to - a.from - (b.to - b.from)),
    )
    if (maintenance?.page === undefined) continue
    const [page] = read(['routes', name, 'maintenance', 'page'], maintenance.page, '503')
    if (page !== undefined) closed.set(name, page)
  }
  return { of: name => pages.get(name) ?? [], maintenanceOf: name => closed.get(name) }
}

/** The page, or what is wrong with its file. */
function readPage(file: string, status: string): ErrorPage | string {
  const path = resolve(file)
  const read = readSmallFile(path, MAX_PAGE_BYTES)
  if ('code' in read) return faultText(path, read)
  const from = Number(status.replace('xx', '00'))
  const to = status.endsWith('xx') ? from + 99 : from
  return { from, to, type: mediaTypeOf(path), text: read.bytes.toString('latin1') }
}

function faultText(path: string, { code, why }: FileFault): string {
  if (code === 'EISDIR' || code === 'NOT_A_FILE') return `${path} is not a file`
  const limit = code === 'TOO_LARGE' ? `; the limit for a page is ${MAX_PAGE_BYTES}` : ''
  return `the page ${path} cannot be read: ${why}${limit}`
}
