import { get as getPlain } from 'node:http'
import { get as getSecret } from 'node:https'
import { buffer } from 'node:stream/consumers'

export interface Told {
  readonly status: number
  readonly bytes: number
}

export type Question = (path: string) => Promise<Told>

/**
 * Asks a peer by HTTP/1.1, each time on a new connection; whose certificate it shows does not matter here.
 */
export function questionTo(port: number, tls: boolean): Question {
  const get = tls ? getSecret : getPlain
  return path =>
    new Promise((done, failed) => {
      const options = {
        host: '127.0.0.1',
        port,
        path,
        agent: false,
        rejectUnauthorized: false,
        timeout: 5000,
      }
      const asked = get(options, answer => {
        buffer(answer).then(body => done({ status: answer.statusCode ?? 0, bytes: body.byteLength }), failed)
      })
      asked.on('error', failed)
      asked.on('timeout', () => asked.destroy(new Error(`no answer to ${path}`)))
    })
}
