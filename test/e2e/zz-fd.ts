import { execFileSync } from 'node:child_process'
import t from 'tap'
import { startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { ask, get, RawClient } from '../support/raw-client.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
const u = await RecordingUpstream.start(t)
const c = await startCauseway(t, { config: configText({ endpoints: [u.port] }) })
console.log((await ask(c.port(), get('/x'))).status)
execFileSync('prlimit', ['--pid', String(c.pid), '--nofile=64'])
const cs: RawClient[] = []
for (let i = 0; i < 200; i++) { try { cs.push(await RawClient.connect(c.port())) } catch (e) { console.log('c', i, String(e)); break } }
await new Promise(d => setTimeout(d, 500))
console.log('open', cs.length, 'ended', cs.filter(x => x.ended).length)
try { console.log('during', (await ask(c.port(), get('/x'))).status) } catch (e) { console.log('during', String(e)) }
for (const x of cs) x.destroy()
await new Promise(d => setTimeout(d, 500))
try { console.log('after', (await ask(c.port(), get('/x'))).status) } catch (e) { console.log('after', String(e)) }
const m = await c.metrics()
console.log(m.text.split('\n').filter(l => /rejected|uncaught|active\{/.test(l) && !l.startsWith('#')).join('\n'))
console.log(c.stdout.split('\n').filter(l => !l.includes('"access"')).slice(0, 8).join('\n'), c.stderr.slice(0, 500), c.exited)
