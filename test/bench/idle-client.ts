import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

// Holds idle keep-alive connections. Argument: the port. Each line on stdin is a number of connections to
// have open; the answer is a line with the number that is. Ends with stdin.

const port = Number(process.argv[2])
const AT_ONCE = 64
const HEAD =
  `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0\r\n` +
  'Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: sessionid=k3v9x2m7q1t5r8w4\r\n\r\n'

const open = new Set<Socket>()

/**
 * Opens one connection and uses it once, so that it is idle between two requests and not before the first.
 */
async function hold(): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(HEAD)
  await once(socket, 'data')
  open.add(socket)
  socket.on('close', () => open.delete(socket))
  socket.on('error', () => {})
}

async function grow(target: number): Promise<void> {
  while (open.size < target) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, target - open.size) }, hold))
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  await grow(Number(line))
  process.stdout.write(`${open.size}\n`)
}
process.exit(0)
