import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { MadeCertificate } from '../support/certificates.ts'

/** Where one instance of a peer finds everything. */
export interface Place {
  /** Own, empty folder. */
  readonly folder: string
  readonly port: number
  /** A second port, for those with an admin listener. */
  readonly adminPort: number
  readonly upstreamPorts: readonly number[]
  /** Folder that is served under `/static/`. */
  readonly staticRoot: string
  readonly accessLog: string
  /** Given: the port speaks TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN. */
  readonly tls: MadeCertificate | undefined
  /** Unused connections that are kept to the app. */
  readonly upstreamIdle: number
}

export interface Launch {
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Files to write into the folder before the start. */
  readonly files: Readonly<Record<string, string>>
  /** The peer writes its access log to stdout. */
  readonly logsToStdout?: boolean
}

/**
 * A proxy that is set to the same work as all others: log, metrics, request id, forwarded fields, two
 * choices.
 */
export interface Peer {
  readonly name: string
  /** Program that must be on the path. */
  readonly needs: string
  readonly servesFiles: boolean
  launch(place: Place): Launch
}

/** True when the program is on the path. */
export function isInstalled(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/sbin', '/usr/local/sbin')
  return folders.some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
