import { startCauseway } from '../causeway.ts'
import { configText } from '../config-text.ts'

// A test that never ends: it says which process it has started, and waits.
const causeway = await startCauseway(
  { teardown: () => undefined },
  { config: configText({ endpoints: [1] }) },
)
process.stdout.write(`${causeway.pid}\n`)
setInterval(() => undefined, 1000)
