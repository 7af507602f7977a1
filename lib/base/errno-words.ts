const WORDS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'this user may not read it'],
  ['EPERM', 'this user may not read it'],
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'a part of its path is not a folder'],
  ['EISDIR', 'it is a folder'],
  ['ELOOP', 'its symbolic links lead nowhere'],
  ['ENAMETOOLONG', 'its path is too long'],
  ['EMFILE', 'this process may not open any more files'],
  ['ENFILE', 'the system may not open any more files'],
  ['EIO', 'the disk reports an error'],
  ['ENXIO', 'it is a socket or a device'],
])

/** Why a file could not be read, in words; where there are none, the system's own code. */
export function whyUnreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return WORDS.get(code ?? '') ?? code ?? message
}

const UNWRITABLE: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'no space is left on the device'],
  ['EDQUOT', 'the quota of this user is used up'],
  ['EFBIG', 'the file is as large as it may be'],
  ['EROFS', 'the file system is read-only'],
  ['EIO', 'the disk reports an error'],
  ['EPIPE', 'nobody reads it'],
])

/** Why a file could not be written, in words; where there are none, the system's own code. */
export function whyUnwritable({ code, message }: NodeJS.ErrnoException): string {
  return UNWRITABLE.get(code ?? '') ?? code ?? message
}
