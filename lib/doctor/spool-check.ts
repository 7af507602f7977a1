import { formatSize } from '../base/units.ts'
import type { Snapshot } from '../config/model.ts'
import { type Finding, hint, ok, problem } from './finding.ts'

const CHECK = 'spool'
/** So many of the largest uploads should fit at a time. */
const AT_A_TIME = 4

/** Do the uploads that listeners let in find room where they wait? */
export function checkSpool({ listeners, upstreams, server: { spool } }: Snapshot): Finding[] {
  if (!upstreams.some(({ body }) => body === 'spool')) return []
  const findings = listeners.flatMap(({ name, limits: { bodyBytes } }) => {
    const key = `listeners.${name}.limits.body`
    const disk = formatSize(spool.diskBytes)
    if (bodyBytes === Number.POSITIVE_INFINITY) {
      const what = `is off, so one upload can fill server.spool.disk (${disk})`
      return hint(CHECK, key, what, `${key} = "${formatSize(Math.floor(spool.diskBytes / AT_A_TIME))}"`)
    }
    const size = formatSize(bodyBytes)
    if (bodyBytes > spool.diskBytes) {
      const what = `allows ${size}, but server.spool.disk is ${disk}: the largest uploads always fail`
      return problem(CHECK, key, what, `server.spool.disk = "${formatSize(bodyBytes * AT_A_TIME)}"`)
    }
    if (bodyBytes * AT_A_TIME <= spool.diskBytes) return []
    const what = `allows ${size}, and server.spool.disk (${disk}) has space for fewer than ${AT_A_TIME} of that size`
    return hint(CHECK, key, what, `server.spool.disk = "${formatSize(bodyBytes * AT_A_TIME)}"`)
  })
  if (spool.memoryBytes > spool.memoryTotalBytes) {
    const total = formatSize(spool.memoryTotalBytes)
    const what = `one body may use more memory (${formatSize(spool.memoryBytes)}) than all bodies together (${total})`
    findings.push(problem(CHECK, 'server.spool.memory', what, `server.spool.memory = "64KiB"`))
  }
  return findings.length > 0
    ? findings
    : [ok(CHECK, 'server.spool.disk', 'there is space for the largest uploads')]
}
