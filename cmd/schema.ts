import { jsonSchema } from '../lib/config/json-schema.ts'
import { EXIT } from './exit.ts'

/** `causeway schema`: the JSON Schema of the configuration. */
export async function schema(): Promise<number> {
  process.stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`)
  return EXIT.fine
}
