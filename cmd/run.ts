import { availableParallelism } from 'node:os'
import { loadConfig } from '../lib/config/load.ts'
import { countText, formatProblems } from '../lib/config/problem.ts'
import { ControlThread } from '../lib/server/control-thread.ts'
import { addressUrl } from '../lib/server/shared/address-text.ts'
import { type Started, StartFailed } from '../lib/server/start.ts'
import type { CommandArgs } from './command-args.ts'
import { compileCacheFolder } from './compile-cache.ts'
import { EXIT } from './exit.ts'
import { nameProcess } from './process-title.ts'
import { startSystemThreads } from './system-threads.ts'

/** `causeway run`: serves until a signal ends it. Resolves to the exit code. */
export async function run({ config }: Pick<CommandArgs, 'config'>): Promise<number> {
  const { env } = process
  nameProcess(config)
  // Before the configuration is read, which uses them: so by the usual number of data threads, not by
  // server.workers.
  startSystemThreads(env, availableParallelism())
  const loaded = await loadConfig(config, env)
  if (!loaded.ok) {
    process.stderr.write(`${formatProblems(loaded.problems)}\n${countText(loaded.problems)}\n`)
    return EXIT.config
  }
  try {
    return await serve(
      new ControlThread({ path: config, env, compileCache: compileCacheFolder(env) }, loaded),
    )
  } catch (error) {
    if (!(error instanceof StartFailed)) throw error
    process.stderr.write(`causeway: ${error.message}\n`)
    return EXIT.failed
  }
}

async function serve(control: ControlThread): Promise<number> {
  const stopped = followSignals(control)
  try {
    const started = await control.start()
    if (isForPerson(process.env)) process.stderr.write(whereToLook(started))
  } catch (error) {
    // Ended while it started: that is no failure.
    if (!control.stopping) throw error
  }
  await stopped
  return EXIT.fine
}

/** A terminal, or `npm start`: somebody wants to know where to look. The log on stdout is for machines. */
function isForPerson(env: NodeJS.ProcessEnv): boolean {
  return process.stderr.isTTY || env['npm_lifecycle_event'] === 'start'
}

/** Resolves when a signal has ended the process's work. */
function followSignals(control: ControlThread): Promise<void> {
  process.on('uncaughtException', error => control.uncaught('exception', error))
  process.on('unhandledRejection', error => control.uncaught('rejection', error))
  process.on('exit', () => control.abandon())
  process.on('SIGHUP', () => void control.reload())
  process.on('SIGUSR2', () => control.reopenLogs())
  return new Promise(resolve => {
    const end = () => void control.stop().then(done => done && resolve())
    process.on('SIGTERM', end)
    process.on('SIGINT', end)
  })
}

/** For a person who has just started us and looks at a terminal. */
function whereToLook({ snapshot, adminAddress }: Started): string {
  const listeners = snapshot.listeners.map(({ name, address }) => `  ${name}: ${addressUrl(address)}`)
  const admin = addressUrl(adminAddress)
  const pages =
    adminAddress.kind === 'unix'
      ? [`  admin: ${admin}`]
      : [`  status: ${admin}/`, `  metrics: ${admin}/metrics`]
  return `causeway is ready (press Ctrl-C to stop)\n${[...listeners, ...pages].join('\n')}\n`
}
