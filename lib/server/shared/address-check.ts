import type { Address, Snapshot } from '../../config/model.ts'
import type { Report } from '../../config/problem.ts'
import { type Path, placeOf, type Table } from '../../config/tree.ts'
import { claimTrouble } from './address-claim.ts'
import { addressText } from './address-text.ts'

/** Addresses that a running Causeway listens on, as `addressText` writes them. */
export type Held = ReadonlySet<string>

/**
 * Tries every address that a start would listen on, one after the other. What this machine and this user can
 * never have is an error. One that is in use is a warning, since it may be free when it counts; and nothing
 * at all if a process that runs this configuration has it, which `held` is asked for then.
 */
export async function checkListening(
  { listeners, admin }: Pick<Snapshot, 'listeners' | 'admin'>,
  root: Table,
  report: Report,
  held: () => Promise<Held>,
): Promise<void> {
  const wanted: readonly (readonly [Path, Address])[] = [
    ...listeners.map(({ name, address }) => [['listeners', name, 'address'], address] as const),
    [['admin', 'address'], admin.address],
  ]
  let ours: Held | undefined
  for (const [path, address] of wanted) {
    const trouble = await claimTrouble(address)
    if (trouble === undefined) continue
    const at = placeOf(root, path)
    if (trouble.kind === 'refused') {
      report.error(at, trouble.text)
      continue
    }
    ours ??= await held()
    if (!isHeld(address, ours)) report.warning(at, `${trouble.text}: a start would fail`)
  }
}

/** A port that the process has is its own on every address: a reload takes it along. */
function isHeld(address: Address, held: Held): boolean {
  const text = addressText(address)
  if (address.kind === 'unix') return held.has(text)
  return [...held].some(other => other.endsWith(`:${address.port}`))
}
