import { writeFileSync } from 'node:fs'

const NAME = 'causeway'

/**
 * Makes the process findable: `causeway run --config …` for ps and `pgrep -f`, `causeway` for top, pgrep and
 * pidof, which look at the name of its first thread.
 */
export function nameProcess(config: string): void {
  process.title = `${NAME} run --config ${config}`
  try {
    // Linux: the title above has set this one as well, cut to 15 characters.
    writeFileSync('/proc/self/comm', NAME)
  } catch {
    // Elsewhere there is no such name.
  }
}
