import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { Chromium, missingChromium } from '../support/chromium.ts'
import { configText } from '../support/config-text.ts'
import type { Page } from '../support/page.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

// The status page as a browser lays it out, on a phone and on a desk.

const skip = missingChromium()
const NAME = 'localhost'
const LONG = 'a-name-that-is-as-long-as-a-name-may-be-before-people-ask-why-xx'
const PHONES = [320, 430]
const DESK = 1280

/** What sticks out of the window, or of the box around it, by more than a rounding error. */
const STICKS_OUT = `[...document.querySelectorAll('body *')].filter(element => {
  const { left, right, width } = element.getBoundingClientRect()
  return width > 0 && (left < -1 || right > document.documentElement.clientWidth + 1)
}).map(element => element.outerHTML.slice(0, 120))`
/** Elements that can be scrolled sideways. */
const SCROLLS = `[document.documentElement, ...document.querySelectorAll('section')]
  .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth + 1).length`
/** Cells of one row that lie on each other. */
const COVERED = `[...document.querySelectorAll('tr')].flatMap(row => {
  const boxes = [...row.children].map(cell => [cell, cell.getBoundingClientRect()]).filter(([, { width }]) => width > 0)
  return boxes.flatMap(([cell, a], n) => boxes.slice(n + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
    .map(() => cell.outerHTML))
})`
const HEADS = `[...document.querySelectorAll('th')].filter(({ offsetHeight }) => offsetHeight > 0).length`
/** What the style writes before the cells of a table's first row of values. */
const labels = (kind: string) =>
  `[...document.querySelectorAll('.${kind} tr:nth-child(2) td')].map(cell => getComputedStyle(cell, '::before').content)`

async function layOut(page: Page, url: string, width: number): Promise<void> {
  const metrics = { width, height: 800, deviceScaleFactor: 1, mobile: width < 600 }
  await page.ask('Emulation.setDeviceMetricsOverride', metrics)
  await page.visit(url)
  const title = String(await page.evaluate('document.title'))
  if (!title.endsWith('Causeway')) throw new Error(`${url} is ${title}`)
}

t.test('the status page in a browser', { skip }, async t => {
  const app = await RecordingUpstream.start(t)
  const causeway = await startCauseway(t, {
    config: configText({
      endpoints: [app.port, '[2001:db8:1234:5678:9abc:def0:1234:5678]:65535', `unix:/run/${LONG}/app.sock`],
      workers: 2,
      route: `hosts = ["www.example.test", "${LONG}.example.test", "*.example.test"]`,
      more: `
        [upstreams.${LONG}]
        endpoints = ["${LONG}.example.test:8000"]
        [routes.${LONG}]
        path = "/${LONG}/${LONG}/"
        upstream = "${LONG}"`,
    }),
  })
  const url = new URL(causeway.adminUrl)
  const chromium = await Chromium.start(t, { hosts: { [`${NAME}:80`]: url.host } })
  const page = await chromium.page()

  for (const width of PHONES) {
    await t.test(`on a phone of ${width} pixels nothing is cut off, and cells say what they are`, async t => {
      await layOut(page, `http://${NAME}/`, width)
      t.same(await page.evaluate(STICKS_OUT), [], 'nothing lies outside the window')
      t.equal(await page.evaluate(SCROLLS), 0, 'nothing has to be scrolled sideways')
      t.same(await page.evaluate(COVERED), [], 'no cell covers another')
      t.equal(await page.evaluate(HEADS), 0, 'no row of heads')
      const endpoint = await page.evaluate(labels('endpoints'))
      t.same((endpoint as string[]).slice(3, 6), ['"for: "', '"weight: "', '"in flight: "'])
      const route = await page.evaluate(labels('routes'))
      t.same((route as string[]).slice(1), ['"route: "', '"hosts: "', '"path: "', '"leads to: "'])
    })
  }
  await t.test('on a desk tables have heads, and cells no labels', async t => {
    await layOut(page, `http://${NAME}/`, DESK)
    t.same(await page.evaluate(COVERED), [], 'no cell covers another')
    t.ok(Number(await page.evaluate(HEADS)) > 0)
    t.same(
      new Set((await page.evaluate(labels('routes'))) as string[]).size,
      2,
      'a dot before the state only',
    )
  })

  t.same(page.errors, [], 'nothing red in the console')
  await chromium.stop()
  await assertClean(t, causeway, [app])
})
