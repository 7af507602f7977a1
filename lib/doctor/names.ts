import type { Snapshot } from '../config/model.ts'

/** The names that stand in the advice, and what the configuration says; without one, NAME stands for each. */
export interface Names {
  readonly listener: string
  readonly upstream: string
  readonly route: string
  readonly snapshot: Snapshot | undefined
}

/** The names of a configuration, where there is only one that can be meant. */
export function namesOf(snapshot: Snapshot | undefined): Names {
  return {
    listener: only(snapshot?.listeners),
    upstream: only(snapshot?.upstreams),
    route: only(snapshot?.routes.filter(({ action }) => action.kind === 'proxy')),
    snapshot,
  }
}

/**
 * The route whose files answer this path, whatever the host; undefined if there is none or no configuration.
 */
export function staticRouteOf({ snapshot }: Names, path: string) {
  const fitting = snapshot?.routes.filter(
    ({ action, path: prefix }) => action.kind === 'static' && path.startsWith(prefix),
  )
  return fitting?.toSorted((a, b) => b.path.length - a.path.length)[0]
}

function only(things: readonly { readonly name: string }[] | undefined): string {
  return things?.length === 1 ? (things[0]?.name ?? 'NAME') : 'NAME'
}
