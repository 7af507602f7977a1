import { isCidr } from '../http/cidr.ts'

/** A network or an address, as it is written in the configuration. */
export function readCidr(
  value: string,
): { readonly value: string } | { readonly fault: string; readonly hint?: string } {
  if (isCidr(value)) return { value }
  const bare = value.split('/')[0] as string
  const hint =
    isCidr(bare) && value !== bare
      ? { hint: `the prefix length for "${bare}" is at most ${bare.includes(':') ? 128 : 32}` }
      : {}
  return { fault: 'expected a network such as "10.0.0.0/8" or an address such as "10.1.2.3"', ...hint }
}
