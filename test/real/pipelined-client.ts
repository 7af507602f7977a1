import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { latin1Slice } from '../../lib/base/latin1.ts'

export interface Heard {
  readonly status: number
  readonly body: string
}

export interface Target {
  readonly port: number
  readonly host: string
  /** Requests that may be under way on one connection. */
  readonly ahead: number
}

/** Asks for many paths of one host over one connection after the other; answers come in order. */
export async function askAll(
  target: Target,
  paths: readonly string[],
  heard: (path: string, answer: Heard) => void,
): Promise<void> {
  let done = 0
  while (done < paths.length) {
    const before = done
    done += await askSome(target, paths.slice(done), heard)
    if (done === before) throw new Error(`no answer to ${paths[done]} of ${target.host}`)
  }
}

/** Over one connection, which the other side may close; how many answers there were. */
async function askSome(
  { port, host, ahead }: Target,
  paths: readonly string[],
  heard: (path: string, answer: Heard) => void,
): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  let sent = 0
  let answers = 0
  const send = () => {
    let text = ''
    for (; sent < paths.length && sent < answers + ahead; sent += 1)
      text += `GET ${paths[sent]} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    if (text !== '') socket.write(text)
  }
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  send()
  for await (const answer of answersOf(socket)) {
    heard(paths[answers] as string, answer)
    answers += 1
    if (answers === paths.length) break
    if (sent < answers + ahead / 2) send()
  }
  socket.destroy()
  return answers
}

async function* answersOf(socket: Socket): AsyncGenerator<Heard> {
  let text = ''
  try {
    for await (const bytes of socket as AsyncIterable<Buffer>) {
      text += latin1Slice(bytes, 0, bytes.length)
      for (let answer = firstIn(text); answer !== undefined; answer = firstIn(text)) {
        text = text.slice(answer.size)
        yield answer
      }
    }
  } catch {
    // Reset: what came before counts.
  }
}

/** Every answer here has a Content-Length. */
function firstIn(text: string): (Heard & { readonly size: number }) | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? Number.NaN)
  if (Number.isNaN(length)) throw new Error(`an answer without a length: ${head}`)
  const size = end + 4 + length
  if (text.length < size) return undefined
  return { status: Number(head.slice(9, 12)), body: text.slice(end + 4, size), size }
}
