import type { BalancePolicy } from '../../lib/config/balance-policies.ts'
import { HashPicker } from './hash.ts'
import { LeastInflight } from './least-inflight.ts'
import type { NamedLoad, Picker } from './load.ts'
import { P2c } from './p2c.ts'
import { PeakEwmaPicker } from './peak-ewma.ts'
import { RoundRobin } from './round-robin.ts'

/** Builds the policy's picker for the endpoints that are ready now. `random` is uniform in [0, 1). */
export function makePicker<E extends NamedLoad>(
  policy: BalancePolicy,
  ready: readonly E[],
  random: () => number,
): Picker<E> {
  switch (policy) {
    case 'p2c':
      return new P2c(ready, random)
    case 'round-robin':
      return new RoundRobin(ready, random)
    case 'least-inflight':
      return new LeastInflight(ready, random)
    case 'peak-ewma':
      return new PeakEwmaPicker(ready, random)
    case 'hash':
      return new HashPicker(ready)
  }
}
