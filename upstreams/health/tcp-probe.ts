import { connect } from 'node:net'
import { failedProbe } from './failure-reason.ts'
import type { Probe } from './health.ts'
import { connectOptions, type ProbeTarget } from './probe-target.ts'

/**
 * Connects and closes at once, without a byte: proves that somebody listens, not that the app works. Never
 * rejects. The caller aborts `signal` when the time is over.
 */
export function probeTcp({ address }: Pick<ProbeTarget, 'address'>, signal: AbortSignal): Promise<Probe> {
  return new Promise(resolve => {
    const socket = connect(connectOptions(address))
    const finish = (probe: Probe) => {
      signal.removeEventListener('abort', giveUp)
      socket.destroy()
      resolve(probe)
    }
    const giveUp = () => finish({ ok: false, reason: 'no connection' })
    socket.once('connect', () => finish({ ok: true }))
    // `on`: an error behind the first must not be thrown.
    socket.on('error', error => finish(failedProbe(error, address)))
    signal.addEventListener('abort', giveUp)
  })
}
