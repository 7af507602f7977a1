import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { TestAuthority } from './certificates.ts'

/** A load balancer that ends TLS, as clouds have them. */
export interface TlsTerminator {
  readonly port: number
  /** File with the authority of its certificate, for whoever is to trust it. */
  readonly authority: string
}

export interface TerminatorOptions {
  /**
   * Says which scheme the client used, in place of what the client says; else passes on what the client says.
   */
  readonly saysScheme: boolean
  /** Passes the Host field on without its port. */
  readonly losesPort?: boolean
}

/**
 * Starts one for `https://localhost` before the plain port of 127.0.0.1. Needs the `openssl` command for its
 * certificate.
 */
export async function startTlsTerminator(
  t: Pick<Test, 'teardown'>,
  to: number,
  options: TerminatorOptions,
): Promise<TlsTerminator> {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-tls-'))
  const authority = new TestAuthority(folder)
  const { key, certificate } = authority.issue({ names: ['localhost'] })
  const server = createServer({ key, cert: certificate }, (question, answer) =>
    pass(question, answer, to, options),
  )
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
    rmSync(folder, { recursive: true, force: true })
  })
  return { port: (server.address() as AddressInfo).port, authority: authority.file }
}

function pass(
  question: IncomingMessage,
  answer: ServerResponse,
  port: number,
  { saysScheme, losesPort = false }: TerminatorOptions,
): void {
  const headers = { ...question.headers }
  if (saysScheme) {
    for (const name of ['forwarded', 'x-forwarded-host', 'x-forwarded-for']) delete headers[name]
    headers['x-forwarded-proto'] = 'https'
  }
  if (losesPort) headers.host = headers.host?.replace(/:\d+$/, '')
  const { method, url: path } = question
  const passed = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, from => {
    answer.writeHead(from.statusCode ?? 502, from.rawHeaders.filter(notConnection))
    from.pipe(answer)
  })
  passed.on('error', () => answer.destroy())
  question.pipe(passed)
}

/** Leaves the field out of a flat list: it speaks of the other connection. */
function notConnection(_text: string, i: number, list: string[]): boolean {
  return !/^(?:connection|keep-alive)$/i.test(list[i - (i % 2)] as string)
}
