import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { boundCommand } from './bound-command.ts'

const LISTEN = `
const server = require('node:net').createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))
`

/** A port where a connect neither succeeds nor fails: its process is stopped and its backlog is full. */
export async function startDeafServer(t: Pick<Test, 'teardown'>): Promise<number> {
  const child = spawn(...boundCommand(process.execPath, ['-e', LISTEN]), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const fillers: Socket[] = []
  t.teardown(() => {
    for (const socket of fillers) socket.destroy()
    child.kill('SIGKILL')
  })
  const [text] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(text.toString())
  child.kill('SIGSTOP')
  // Each connect that is taken goes into the backlog; the first that is not shows that it is full.
  for (;;) {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    fillers.push(socket)
    const taken = await Promise.race([once(socket, 'connect').then(() => true), pause(150, false)])
    if (!taken) return port
  }
}
