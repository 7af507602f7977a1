import t, { type Test } from 'tap'
import { type Ran, runCommand } from './support/command.ts'

/** Runs `causeway simulate` among these files. */
function simulate(t: Test, files: Readonly<Record<string, string>>, ...args: string[]): Promise<Ran> {
  return runCommand(['simulate', ...args], { cwd: t.testdir(files) })
}

const POOL = `
round_trip = "1ms"

[load]
rate = 100
arrivals = "uniform"
duration = "10s"

[[endpoints]]
name = "fast"
workers = 1
service = "4ms"

[[endpoints]]
name = "slow"
workers = 1
service = "40ms"
`

const SOLO = `
round_trip = "0ms"
[load]
rate = 400
arrivals = "uniform"
duration = "2s"
[[endpoints]]
name = "solo"
service = "4ms"
[upstream]
queue = { length = 0 }
`

t.test('a described load: a table for people', async t => {
  const args = ['--load', 'solo.toml', '--policy', 'round-robin', '--max-inflight', '0,1']
  const { code, stdout, stderr } = await simulate(t, { 'solo.toml': SOLO }, ...args)
  t.equal(stderr, '')
  t.equal(code, 0)
  t.same(stdout.split('\n'), [
    'policy       max_inflight  requests   ok  refused  failed  left    p50     p90     p99     max  waited  mean wait  longest queue  retries',
    'round-robin           off       800  800        0       0     0  603ms  1083ms  1191ms  1203ms       0          -              0        0',
    'round-robin             1       800  400      400       0     0  4.0ms   4.0ms   4.0ms   4.0ms       0          -              0        0',
    'round-robin 1: refused 400 queue_full',
    '',
    'Busy workers, and maximum listen backlog of the app:',
    '                       solo',
    'round-robin  off  100%, 300',
    'round-robin    1     80%, 0',
    '',
  ])
})

t.test('the same for programs', async t => {
  const args = ['--load', 'pool.toml', '--policy', 'p2c', '--json', '--seed', '7']
  const { code, stdout } = await simulate(t, { 'pool.toml': POOL }, ...args)
  t.equal(code, 0)
  t.match(JSON.parse(stdout), {
    ok: true,
    seed: 7,
    rows: [
      {
        policy: 'p2c',
        max_inflight: 0,
        requests: 1000,
        ok: 1000,
        refused: {},
        failed: {},
        left: 0,
        p50_ms: 5,
        queue: { longest: 0, waited: 0, mean_wait_ms: 0 },
        retries: 0,
        repeated: 0,
        endpoints: [
          { name: 'fast', longest_backlog: Number },
          { name: 'slow', answered: Number },
        ],
      },
    ],
  })
  t.equal((await simulate(t, { 'pool.toml': POOL }, ...args)).stdout, stdout, 'and the same again')
})

t.test('--rate plays so many times as many requests', async t => {
  const args = ['--load', 'pool.toml', '--policy', 'peak-ewma', '--json', '--rate', 'x1.5']
  const { stdout } = await simulate(t, { 'pool.toml': POOL }, ...args)
  t.match(JSON.parse(stdout), { rows: [{ requests: 1500 }] })
})

t.test('every mistake in a description is told, with its place', async t => {
  const { code, stdout, stderr } = await simulate(
    t,
    {
      'bad.toml': `thread = 2
[load]
rate = "many"
[[endpoints]]
name = "a"
service = 10
[[faults]]
endpoint = "a"
kind = "dwn"
[upstream]
queue = { length = 5, timout = "3s" }
`,
    },
    '--load',
    'bad.toml',
  )
  t.equal(code, 78)
  t.equal(stdout, '')
  t.equal(
    stderr,
    `bad.toml:1:1: error: unknown key "thread"
  1 | thread = 2
    | ^
  help: did you mean "threads"?

bad.toml:3:8: error: load.rate: expected a whole number from 1 to 1000000, got "many"
  3 | rate = "many"
    |        ^

bad.toml:6:11: error: endpoints[0].service: expected a time in quotes, got 10
  6 | service = 10
    |           ^

bad.toml:9:8: error: faults[0].kind: expected one of "down", "restart", "hung", "slow", "errors", got "dwn"
  9 | kind = "dwn"
    |        ^
  help: did you mean "down"?

bad.toml:11:23: error: unknown key "timout" in upstream.queue
  11 | queue = { length = 5, timout = "3s" }
     |                       ^
  help: did you mean "timeout"?
`,
  )
})

t.test('so are those that concern several words', async t => {
  const { code, stderr } = await simulate(
    t,
    {
      'bad.toml': `warm_up = "2m"
[load]
rate = 5
low = "80%"
high = "30%"
[[endpoints]]
name = "a"
copies = 2
service = { p50 = "10ms" }
[[endpoints]]
name = "a-1"
service = { p50 = "10ms", p99 = "5ms" }
[[endpoints]]
name = "c"
[[endpoints]]
name = "d"
service = { times = [] }
[[faults]]
endpoint = "b"
kind = "down"
from = "5s"
to = "5s"
`,
    },
    '--load',
    'bad.toml',
  )
  t.equal(code, 78)
  t.same(
    stderr.split('\n').filter(line => line.startsWith('bad.toml') || line.startsWith('  help')),
    [
      'bad.toml:1:11: error: warm_up: expected less than the duration of the load',
      'bad.toml:4:7: error: load.low: high and low exceed 100% of the requests',
      'bad.toml:7:8: error: endpoints[0].name: two endpoints are named "a-1"',
      'bad.toml:9:11: error: endpoints[0].service: expected exactly one distribution of the service time',
      '  help: write "10ms", { exponential = "10ms" }, { p50 = "10ms", p99 = "80ms" } or { times = ["8ms", "12ms"] }',
      'bad.toml:11:8: error: endpoints[1].name: two endpoints are named "a-1"',
      'bad.toml:12:33: error: endpoints[1].service.p99: expected at least "p50", which must be above 0',
      'bad.toml:13:3: error: endpoints[2]: service is missing',
      'bad.toml:17:21: error: endpoints[3].service.times: expected at least one time',
      'bad.toml:19:12: error: faults[0].endpoint: unknown endpoint "b"',
      '  help: the endpoints are a, a-1, a-2, c, d',
      'bad.toml:22:6: error: faults[0].to: expected a time after "from"',
    ],
  )
})

t.test('wrong use is told', async t => {
  const site =
    'listeners.web.address = "127.0.0.1:0"\nupstreams.a.endpoints = ["a:1"]\nupstreams.b.endpoints = ["b:1"]\nroutes.a.upstream = "a"\nroutes.a.path = "/"\nroutes.b.upstream = "b"\nroutes.b.path = "/b/"\n'
  const files = { 'pool.toml': POOL, 'full.toml': `${POOL}\n[upstream]\n`, 'site.toml': site, 'x.log': 'x\n' }
  const rows: readonly (readonly [number, string, readonly string[]])[] = [
    [2, 'specify --load FILE, --log FILE, or both', []],
    [2, 'unknown policy "p3c": did you mean "p2c"?', ['--load', 'pool.toml', '--policy', 'p2c,p3c']],
    [2, '--rate requires a factor such as x2 or x0.5', ['--load', 'pool.toml', '--rate', '2']],
    [2, '--rate requires a factor such as x2 or x0.5', ['--load', 'pool.toml', '--rate', 'x0']],
    [2, '--seed requires whole numbers, got "a"', ['--load', 'pool.toml', '--seed', 'a']],
    [2, '--max-inflight requires whole numbers, got ""', ['--load', 'pool.toml', '--max-inflight', '4,']],
    [2, 'choose an upstream with --upstream: site.toml has a, b', ['--load', 'pool.toml', '-c', 'site.toml']],
    [
      2,
      'unknown upstream "c": site.toml has a, b',
      ['--load', 'pool.toml', '-c', 'site.toml', '--upstream', 'c'],
    ],
    [
      2,
      'the upstream is defined both in full.toml and in the configuration: remove one of them',
      ['--load', 'full.toml', '-c', 'site.toml', '--upstream', 'a'],
    ],
    [1, 'none.log: there is no such file', ['--log', 'none.log', '-c', 'site.toml', '--upstream', 'a']],
    [
      1,
      'x.log contains no access log line of a proxied request',
      ['--log', 'x.log', '-c', 'site.toml', '--upstream', 'a'],
    ],
    [78, 'no configuration found at', ['--log', 'x.log', '-c', 'none.toml']],
    [78, 'load: the load comes from the access log', ['--log', 'x.log', '--load', 'pool.toml']],
  ]
  for (const [code, message, args] of rows) {
    const ran = await simulate(t, files, ...args)
    t.match(ran, { code, stdout: '', stderr: message }, args.join(' '))
  }
})
