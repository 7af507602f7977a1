import type { Snapshot } from '../../config/model.ts'

/**
 * As process 1 of a container we inherit every process whose parent ends, and Node waits only for those that
 * it has started: the others stay as zombies, until the container may start no more processes.
 */
export function orphanWarnings({ upstreams }: Pick<Snapshot, 'upstreams'>, pid: number): string[] {
  const upstream = upstreams.find(({ run }) => run !== undefined)
  if (pid !== 1 || upstream === undefined) return []
  return [
    `upstreams.${upstream.name}.run: causeway is process 1 here and cannot reap orphaned processes of its workers: run it under an init (docker run --init, init: true, or tini)`,
  ]
}
