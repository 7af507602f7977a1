import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Reads `+ GROUP` and `- GROUP`, one a line. When its input ends Causeway is gone, however that came about:
 * groups that are still listed are asked to end, and after ten seconds ended. They are looked at each second,
 * so that a number is not held against whoever gets it next.
 */
const WATCH = `
groups=
without() { rest=; for one in $groups; do [ "$one" = "$1" ] || rest="$rest $one"; done; groups=$rest; }
while read -r word group; do
  case $word in
    +) groups="$groups $group" ;;
    -) without "$group" ;;
  esac
done
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null || without "$group"; done
for second in 1 2 3 4 5 6 7 8 9 10; do
  [ -n "$groups" ] || exit 0
  sleep 1
  for group in $groups; do kill -s 0 -- "-$group" 2>/dev/null || without "$group"; done
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
`

/**
 * Ends process groups that outlive this process: nothing of ours runs when it is killed (SIGKILL, out of
 * memory), and then workers would stay behind, beside those of the next start. A shell at the other end of a
 * pipe notices. Where there is none, nobody watches.
 */
export class OrphanGuard {
  readonly #groups = new Set<number>()
  #watcher: ChildProcess | undefined

  /** From now on the group ends with us. */
  add(group: number): void {
    this.#groups.add(group)
    if (this.#watcher === undefined) this.#start()
    else this.#tell(`+ ${group}`)
  }

  /** To be called when the group's first process has ended: its number may be another's soon. */
  remove(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`- ${group}`)
    if (this.#groups.size === 0) this.#stop()
  }

  #start(): void {
    // In a session of its own: a Ctrl-C in the terminal is not for it.
    const watcher = spawn('/bin/sh', ['-c', WATCH, 'causeway-orphan-guard'], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    })
    this.#watcher = watcher
    const ended = () => {
      if (this.#watcher === watcher) this.#watcher = undefined
    }
    watcher.once('error', ended)
    watcher.once('exit', ended)
    watcher.stdin.on('error', ended)
    watcher.unref()
    for (const group of this.#groups) this.#tell(`+ ${group}`)
  }

  #tell(line: string): void {
    this.#watcher?.stdin?.write(`${line}\n`)
  }

  #stop(): void {
    this.#watcher?.stdin?.end()
    this.#watcher = undefined
  }
}
