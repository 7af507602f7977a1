import type { Priority } from '../config/model.ts'
import type { Exchange } from '../http/exchange.ts'
import type { ResponseHead } from '../http/message.ts'
import type { Mount } from './mount.ts'
import type { ReadAheadRoom } from './read-ahead.ts'

/** What a route makes of its app; one for all of its exchanges. */
export interface ProxySite {
  readonly room: ReadAheadRoom
  /** Where the app is mounted, if not at the root. */
  readonly mount: Mount | undefined
  readonly files: NamedFiles
  readonly priority: Priority
}

/** Who serves the files that an app only names, by X-Accel-Redirect or X-Sendfile. */
export interface NamedFiles {
  /** Takes the exchange over, for good, if the app's answer names a file; false if it does not. */
  serve(exchange: Exchange, head: ResponseHead): boolean
}
