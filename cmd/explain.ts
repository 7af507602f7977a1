import { loadConfig } from '../lib/config/load.ts'
import { formatProblems } from '../lib/config/problem.ts'
import {
  type Explanation,
  explain as explainQuestion,
  readQuestion,
} from '../lib/server/admin/explanation.ts'
import type { CommandArgs } from './command-args.ts'
import { EXIT } from './exit.ts'

/** `causeway explain [METHOD] URL`: what the configuration would make of a request. Asks nobody. */
export async function explain({ config, json, operands }: CommandArgs): Promise<number> {
  const [method, url] = operands.length === 1 ? ['GET', operands[0]] : operands
  const question = readQuestion(method ?? '', url ?? '')
  if (question === undefined) {
    process.stderr.write(
      'causeway: expected a method and a URL, such as: explain GET https://www.example.com/admin/\n',
    )
    return EXIT.usage
  }
  const loaded = await loadConfig(config, process.env)
  if (!loaded.ok) {
    process.stderr.write(formatProblems(loaded.problems))
    return EXIT.config
  }
  const explanation = explainQuestion(loaded.snapshot, question)
  process.stdout.write(json ? `${JSON.stringify(explanation, undefined, 2)}\n` : describe(explanation))
  return EXIT.fine
}

function describe({ steps, others }: Explanation): string {
  const rest = others.map(({ route, why }) => `not route ${route}: ${why}`)
  return `${[...steps, ...rest].join('\n')}\n`
}
