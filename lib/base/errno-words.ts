const WORDS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'this user has no read permission'],
  ['EPERM', 'this user has no read permission'],
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'a component of its path is not a folder'],
  ['EISDIR', 'it is a folder'],
  ['ELOOP', 'its symbolic links form a loop'],
  ['ENAMETOOLONG', 'its path is too long'],
  ['EMFILE', 'this process has too many open files'],
  ['ENFILE', 'the system has too many open files'],
  ['EIO', 'the disk reports an error'],
  ['ENXIO', 'it is a socket or a device'],
])

/** Why a file could not be read, in words; where there are none, the system's own code. */
export function whyUnreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return WORDS.get(code ?? '') ?? code ?? message
}

const UNWRITABLE: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'no space left on the device'],
  ['EDQUOT', 'the disk quota of this user is exceeded'],
  ['EFBIG', 'the file has reached its maximum size'],
  ['EROFS', 'the file system is read-only'],
  ['EIO', 'the disk reports an error'],
  ['EPIPE', 'it has no reader'],
])

/** Why a file could not be written, in words; where there are none, the system's own code. */
export function whyUnwritable({ code, message }: NodeJS.ErrnoException): string {
  return UNWRITABLE.get(code ?? '') ?? code ?? message
}
