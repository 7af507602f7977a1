import { constants } from 'node:fs'

// Files that have no name from their first moment (open(2), O_TMPFILE): gone with their descriptor, whatever
// ends the process.

/** Node has no constant for it; the number is the same wherever Node runs on Linux. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY
/** What systems and file systems say that do not know O_TMPFILE. */
const UNKNOWN_TO: ReadonlySet<string | undefined> = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EISDIR', 'EINVAL'])
const READ_WRITE = constants.O_RDWR | constants.O_EXCL

/** For this user only. */
export const NAMELESS_MODE = 0o600
/** Flags to open a folder with, for a file in it without a name. */
export const NAMELESS = READ_WRITE | O_TMPFILE
/** Flags for a new file with a name that is taken off again at once, where there is no other way. */
export const NAMED = READ_WRITE | constants.O_CREAT
export const KNOWS_NAMELESS = process.platform === 'linux'

/** Does this error of an open with NAMELESS mean that it is not to be had here? */
export function isNamelessUnknown({ code }: NodeJS.ErrnoException): boolean {
  return UNKNOWN_TO.has(code)
}
