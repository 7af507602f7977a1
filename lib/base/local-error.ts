/** What this process or this machine has run out of: descriptors, memory, buffers, local ports. */
const LOCAL = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL', 'EAGAIN'])

/**
 * True for an error that is ours and says nothing about whoever was to be reached. EAGAIN of a connect to a
 * unix socket is not: there its listener's backlog is full (connect(2)).
 */
export function isLocalError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // All addresses of a name were tried: one that has failed by itself is enough.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isLocalError)
  const code = codeOf(error)
  if (code === 'EAGAIN' && Reflect.get(error, 'syscall') === 'connect') return 'port' in error
  return LOCAL.has(code) || isLocalError(error.cause)
}

/** For people. */
export function localReason(error: Error): string {
  const code = error instanceof AggregateError ? codeOf(error.errors[0]) : codeOf(error)
  switch (code) {
    case 'EMFILE':
      return 'this process has no file descriptor left: raise its limit of open files'
    case 'ENFILE':
      return 'this machine has no file descriptor left (fs.file-max)'
    case 'EADDRNOTAVAIL':
    case 'EAGAIN':
      return 'this machine has no local port or address left to connect from'
    case 'ENOMEM':
    case 'ENOBUFS':
      return 'this machine has no memory left for a connection'
    default:
      return error.message
  }
}

/** There are still some, but none to spare for this. */
export class OutOfDescriptors extends Error {
  override readonly name = 'OutOfDescriptors'
  readonly code = 'EMFILE'

  constructor() {
    super('no file descriptor available')
  }
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : ''
}
