import { loadConfig } from '../lib/config/load.ts'
import type { Snapshot } from '../lib/config/model.ts'
import { formatProblems } from '../lib/config/problem.ts'
import { examine } from '../lib/doctor/doctor.ts'
import { reportText } from '../lib/doctor/report.ts'
import { EXIT } from './exit.ts'

/** Options of `causeway doctor`. Without `config` the site is looked at from outside alone. */
type Options = Readonly<Record<string, string | undefined>>

/** `causeway doctor`: checks a running site from outside. Resolves to the exit code. */
export async function doctor(url: string, options: Options, json: boolean): Promise<number> {
  const { CAUSEWAY_CONFIG } = process.env
  const { config = CAUSEWAY_CONFIG || undefined, post, health } = options
  const mistake = misuse(url, { post, health })
  if (mistake !== undefined) {
    process.stderr.write(`causeway: ${mistake}\nTry: causeway doctor --help\n`)
    return EXIT.usage
  }
  let snapshot: Snapshot | undefined
  if (config !== undefined) {
    const loaded = await loadConfig(config, process.env)
    if (!loaded.ok) {
      process.stderr.write(formatProblems(loaded.problems))
      return EXIT.config
    }
    snapshot = loaded.snapshot
  }
  const findings = await examine({ url, snapshot, post, health })
  const bad = findings.some(({ level }) => level === 'problem')
  process.stdout.write(
    json ? `${JSON.stringify({ ok: !bad, url, findings }, undefined, 2)}\n` : reportText(findings),
  )
  return bad ? EXIT.failed : EXIT.fine
}

/** What is wrong with the arguments; undefined if nothing is. */
function misuse(url: string, paths: Options): string | undefined {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return `${JSON.stringify(url)} is not a URL such as https://www.example.com/`
  }
  for (const [option, path] of Object.entries(paths)) {
    if (path !== undefined && !/^\/(?!\/)/.test(path))
      return `--${option} requires a path such as /admin/login/`
  }
  return undefined
}
