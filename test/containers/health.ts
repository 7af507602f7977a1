import { until } from '../support/until.ts'
import type { Engine } from './engine.ts'

/**
 * Waits until a container's own health check passes. Docker runs it in its interval. Podman leaves that to
 * systemd, so it is run by hand; where podman may not enter containers (no CAP_SYS_RESOURCE), the same
 * command runs in a second container with the network of the first.
 */
export async function untilHealthy(engine: Engine, container: string, patienceMs: number): Promise<void> {
  let last = ''
  await until(
    () => `${container} to be healthy: ${last}`,
    async () => {
      last = await healthOf(engine, container)
      return last === 'healthy'
    },
    patienceMs,
  )
}

async function healthOf(engine: Engine, container: string): Promise<string> {
  if (engine.program === 'docker') return engine.inspect(container, '{{.State.Health.Status}}')
  const { code, stdout, stderr } = await engine.try('healthcheck', 'run', container)
  if (code === 0) return 'healthy'
  return (await mayEnter(engine, container)) ? stdout + stderr : beside(engine, container)
}

async function mayEnter(engine: Engine, container: string): Promise<boolean> {
  return !/OCI permission denied/.test((await engine.try('exec', container, 'true')).stderr)
}

/** Runs the check beside its container; volumes come along for sockets and configuration. */
async function beside(engine: Engine, container: string): Promise<string> {
  const [test, image] = await Promise.all([
    engine.inspect(container, '{{json .Config.Healthcheck.Test}}'),
    engine.inspect(container, '{{.Image}}'),
  ])
  const [kind, ...words] = JSON.parse(test) as string[]
  const [program = '', ...args] = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', ...words] : words
  const where = ['--network', `container:${container}`, '--volumes-from', container]
  const outcome = await engine.try('run', '--rm', ...where, '--entrypoint', program, image, ...args)
  return outcome.code === 0 ? 'healthy' : outcome.stdout + outcome.stderr
}
