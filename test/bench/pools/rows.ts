import type { Peer } from '../peer.ts'
import { plainCauseway, plainHaproxy, plainNginx } from '../plain-peers.ts'

export interface RowKind {
  readonly name: string
  readonly peer: Peer
  /** It holds requests back until an endpoint has a worker for them: no match for those who only choose. */
  readonly capped: boolean
  /** What `causeway simulate` is asked for, to be held against what was measured. */
  readonly simulated?: { readonly policy: string; readonly cap: number }
}

const nginx = (policy: string, words: string): RowKind => ({
  name: `nginx ${policy}`,
  peer: plainNginx({ upstream: words, keepalive: 128 }),
  capped: false,
})
const haproxy = (policy: string, cap?: number): RowKind => ({
  name: `haproxy ${policy}${cap === undefined ? '' : `, maxconn ${cap}`}`,
  peer: plainHaproxy({
    upstream: `balance ${policy}`,
    server: cap === undefined ? '' : `maxconn ${cap}`,
  }),
  capped: cap !== undefined,
})
const causeway = (policy: string, cap?: number): RowKind => ({
  name: `causeway ${policy}${cap === undefined ? '' : `, max_inflight ${cap}`}`,
  peer: plainCauseway({
    upstream: `balance = "${policy}"\n${cap === undefined ? '' : `max_inflight = ${cap}`}`,
  }),
  capped: cap !== undefined,
  simulated: { policy, cap: cap ?? 0 },
})

/** Every policy that is compared; the peers first. */
export const ROWS: readonly RowKind[] = [
  nginx('round robin', ''),
  nginx('least_conn', 'least_conn;'),
  nginx('random two least_conn', 'random two least_conn;'),
  haproxy('roundrobin'),
  haproxy('leastconn'),
  haproxy('random(2)'),
  haproxy('leastconn', 4),
  causeway('p2c'),
  causeway('least-inflight'),
  causeway('peak-ewma'),
  causeway('p2c', 4),
]
