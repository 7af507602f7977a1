import t from 'tap'
import { resultsOf, uneven, worse } from './verdicts.ts'

const report = (...cases: readonly string[]) => `<?xml version="1.0"?>
<testsuites><testsuite name="6.1. DATA" package="http2/6.1">
${cases.join('\n')}
</testsuite></testsuites>`
const passed = (title: string) =>
  `<testcase package="http2/6.1" classname="${title}" time="0.0003"></testcase>`
const held = (title: string, kind: string, detail: string) =>
  `<testcase package="http2/6.1" classname="${title}" time="2.0007">
      <${kind}>${detail}</${kind}>
    </testcase>`

t.test('each kind of result in a report of h2spec is told apart', async t => {
  const results = resultsOf(
    report(
      passed('Sends &#34;x&#34;'),
      held('Sends y', 'error', 'GOAWAY Frame &lt;1&gt;\nTimeout'),
      held('Sends z', 'failure', 'broken'),
      held('Sends w', 'skipped', ''),
    ),
  )
  t.same(
    [...results],
    [
      ['http2/6.1: Sends "x"', { verdict: 'pass', detail: '' }],
      ['http2/6.1: Sends y', { verdict: 'fail', detail: 'GOAWAY Frame <1>\nTimeout' }],
      ['http2/6.1: Sends z', { verdict: 'fail', detail: 'broken' }],
      ['http2/6.1: Sends w', { verdict: 'skip', detail: '' }],
    ],
  )
})

t.test('a report that is not understood is no success', async t => {
  t.throws(() => resultsOf(report('<testcase package="a" name="other"></testcase>')))
  t.throws(() => resultsOf(report()))
  t.throws(() => resultsOf(report(passed('Sends x'), passed('Sends x'))), 'a title that is there twice')
})

t.test('what passes there and not here is worse; a case that was not run here too', async t => {
  const there = resultsOf(report(passed('a'), passed('b'), held('c', 'error', ''), passed('d')))
  const here = resultsOf(report(held('a', 'error', ''), held('b', 'skipped', ''), passed('c')))
  t.same(worse(here, there), ['http2/6.1: a', 'http2/6.1: b', 'http2/6.1: d'])
  t.same(worse(there, here), ['http2/6.1: c'])
  t.same(uneven([there, there]), ['http2/6.1: c'])
})
