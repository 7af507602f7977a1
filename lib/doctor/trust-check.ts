import type { Snapshot } from '../config/model.ts'
import { type Finding, problem } from './finding.ts'

const EVERYBODY = /\/0$/

/** Does a listener believe what anybody says about himself? */
export function checkTrust({ listeners }: Snapshot): Finding[] {
  return listeners
    .filter(({ trustedProxies }) => trustedProxies.some(range => EVERYBODY.test(range)))
    .map(({ name }) => {
      const key = `listeners.${name}.trusted_proxies`
      const what = 'trusts everyone: clients can choose their own address, scheme and host'
      return problem('forwarded', key, what, `${key} = ["<address of your load balancer>"]`)
    })
}
