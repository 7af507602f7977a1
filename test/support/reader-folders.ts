import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { TestAuthority } from './certificates.ts'

/** Hosts of the certificate that stands for the reader's own. */
const NAMES = ['example.com', '*.example.com']
const PAGE = '<h1>Sorry</h1>'

/**
 * Writes a configuration from the documentation to a file of the test, with real folders and a real
 * certificate in place of the reader's: `/srv`, `/certs/site.pem`, `/certs/site.key`, and the relative root
 * `staticfiles`. Returns the file's path.
 */
export function withReaderFolders(t: Test, text: string): string {
  const polls = { staticfiles: { admin: {} }, media: {}, errors: { 'down.html': PAGE, 'busy.html': PAGE } }
  const folder = t.testdir({ polls, files: {}, staticfiles: { admin: {} } })
  const { certificateFile, keyFile } = new TestAuthority(folder).issue({ names: NAMES })
  const own = text
    .replaceAll('/certs/site.pem', certificateFile)
    .replaceAll('/certs/site.key', keyFile)
    .replaceAll('/srv', folder)
    .replace('root = "staticfiles"', `root = "${folder}/staticfiles"`)
  const path = join(folder, 'causeway.toml')
  writeFileSync(path, own)
  return path
}
