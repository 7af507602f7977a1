import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { assertClean, startCauseway } from '../support/causeway.ts'
import { configText } from '../support/config-text.ts'
import { RawClient, type RawResponse } from '../support/raw-client.ts'
import { type RecordedRequest, RecordingUpstream, type Script } from '../support/recording-upstream.ts'
import { within } from '../support/until.ts'

// Clients and apps that do what they like, drawn by a seed. Every request carries a word of its own, every
// answer of an app repeats the word it was asked with: whatever else happens, no client may see another word
// than its own.

const SEED = Number(process.env['ATTACK_SEED'] ?? 20_261_122)
const CLIENTS = 400
const AT_ONCE = 60

/** mulberry32: small, and the same everywhere. */
class Draw {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }
}

function wordOf(target: string): string {
  return target.slice(target.indexOf('?') + 1)
}

/** The answer's text: its word over and over, the last time with what arrived of the request's body. */
function textOf(request: RecordedRequest, times = 3): string {
  return `${`${wordOf(request.target)};`.repeat(times)}${request.bodyBytes}`
}

function whole(text: string, fields = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n${fields}\r\n${text}`
}

function chunks(text: string, size: number): string {
  let all = ''
  for (let at = 0; at < text.length; at += size) {
    const chunk = text.slice(at, at + size)
    all += `${chunk.length.toString(16)}\r\n${chunk}\r\n`
  }
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${all}0\r\n\r\n`
}

const POISON = whole('poison;poison;poison;0')
/** Needs no look at the request's body. */
const at_once =
  (answer: (request: RecordedRequest) => string, then?: 'end' | 'reset'): Script =>
  (line, request) => {
    line.send(answer(request))
    if (then === 'end') line.end()
    if (then === 'reset') line.reset()
  }
const afterwards =
  (answer: (request: RecordedRequest) => string, then?: 'end' | 'reset'): Script =>
  async (line, request) => {
    await request.whole()
    line.send(answer(request))
    if (then === 'end') line.end()
    if (then === 'reset') line.reset()
  }
const bodiless =
  (status: string): Script =>
  async (line, request) => {
    await request.whole()
    line.send(`HTTP/1.1 ${status}\r\n\r\n`)
    await pause(2)
    line.send(POISON)
  }

const APPS: Readonly<Record<string, Script>> = {
  plain: afterwards(request => whole(textOf(request))),
  chunked: afterwards(request => chunks(textOf(request), 7)),
  tiny: afterwards(request => chunks(textOf(request, 200), 1)),
  closing: afterwards(request => `HTTP/1.1 200 OK\r\n\r\n${textOf(request)}`, 'end'),
  last: afterwards(request => whole(textOf(request), 'Connection: close\r\n'), 'end'),
  silent: afterwards(request => whole(textOf(request)), 'end'),
  large: afterwards(request => whole(textOf(request, 60_000))),
  early: at_once(request => whole(textOf(request))),
  earlyEnd: at_once(request => whole(textOf(request), 'Connection: close\r\n'), 'end'),
  earlyReset: at_once(request => whole(textOf(request)), 'reset'),
  hints: afterwards(
    request => `${'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(5)}${whole(textOf(request))}`,
  ),
  flood: afterwards(request => `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(500)}${whole(textOf(request))}`),
  end: at_once(() => '', 'end'),
  reset: at_once(() => '', 'reset'),
  resetLater: afterwards(() => '', 'reset'),
  halfHead: afterwards(() => 'HTTP/1.1 200 OK\r\nContent-Le', 'end'),
  halfBody: afterwards(request => whole(textOf(request)).slice(0, -5), 'end'),
  halfBodyReset: afterwards(request => whole(textOf(request)).slice(0, -5), 'reset'),
  halfChunk: afterwards(request => chunks(textOf(request), 9).slice(0, -12), 'end'),
  badChunk: afterwards(request => chunks(textOf(request), 9).replace('\r\n0\r\n', '\r\nzz\r\n')),
  surplus: afterwards(request => whole(textOf(request)) + POISON),
  chunkedSurplus: afterwards(request => chunks(textOf(request), 9) + POISON),
  garbage: afterwards(() => 'what is this\r\n\r\n'),
  twoLengths: afterwards(request => whole(textOf(request), 'Content-Length: 1\r\n')),
  empty: bodiless('204 No Content'),
  unchanged: bodiless('304 Not Modified'),
  never: () => undefined,
  stalls: afterwards(request => whole(textOf(request)).slice(0, -5)),
}
/** Those that hold a slot until a timeout, and so are drawn rarely. */
const SLOW = ['never', 'stalls']
const QUICK = Object.keys(APPS).filter(name => !SLOW.includes(name))

/** What a client asks in one request. */
interface Question {
  readonly word: string
  readonly method: string
  readonly text: string
  readonly body: number
}

let words = 0

function question(draw: Draw): Question {
  words += 1
  const word = `w${words}`
  const app = draw.below(12) === 0 ? draw.of(SLOW) : draw.of(QUICK)
  const start = `/${app}?${word} HTTP/1.1\r\nHost: example.test\r\n`
  const body = draw.of([0, 1, 100, 70_000, 300_000])
  switch (draw.below(6)) {
    case 0:
      return { word, method: 'HEAD', text: `HEAD ${start}\r\n`, body: 0 }
    case 1: {
      const sent = 'y'.repeat(body)
      return {
        word,
        method: 'POST',
        text: `POST ${start}Content-Length: ${body}\r\n\r\n${sent}`,
        body,
      }
    }
    case 2: {
      const few = Math.min(body, 2_000)
      return {
        word,
        method: 'PUT',
        text: `PUT ${start}Transfer-Encoding: chunked\r\n\r\n${'1\r\ny\r\n'.repeat(few)}0\r\n\r\n`,
        body: few,
      }
    }
    default:
      return { word, method: 'GET', text: `GET ${start}\r\n`, body: 0 }
  }
}

const wrong: string[] = []
let seenWhole = 0

/** An answer may be an error of ours, or cut; but if an app gave it, it says the word of its own request. */
function judge(asked: Question, answer: RawResponse): void {
  if (answer.status !== 200) {
    if (![204, 304, 408, 499, 502, 503, 504].includes(answer.status))
      wrong.push(`${asked.word}: ${answer.status}`)
    return
  }
  if (asked.method === 'HEAD') return
  const parts = answer.body.toString('latin1').split(';')
  const rest = parts.pop() ?? ''
  if (parts.some(part => part !== asked.word))
    wrong.push(`${asked.word}: got ${parts.join(';').slice(0, 100)}`)
  if (!answer.complete) return
  seenWhole += 1
  if (!/^\d+$/.test(rest) || Number(rest) > asked.body) wrong.push(`${asked.word}: ends with ${rest}`)
}

async function read(client: RawClient, asked: readonly Question[]): Promise<void> {
  for (const one of asked) {
    let answer: RawResponse
    try {
      answer = await client.response(one.method, 12_000)
    } catch (error) {
      // The connection ended where an answer ended: what was behind is unanswered.
      if (client.ended === undefined) wrong.push(`${one.word}: ${String(error)}`)
      return
    }
    judge(one, answer)
  }
}

/** How a client behaves once it is connected. */
type Behaviour = (client: RawClient, draw: Draw) => Promise<void>

const CLIENT_KINDS: readonly Behaviour[] = [
  async function oneAfterTheOther(client, draw) {
    for (let left = 1 + draw.below(4); left > 0; left -= 1) {
      const asked = question(draw)
      client.send(asked.text)
      await read(client, [asked])
    }
  },
  async function allAtOnce(client, draw) {
    const asked = Array.from({ length: 2 + draw.below(8) }, () => question(draw))
    client.send(asked.map(({ text }) => text).join(''))
    await read(client, asked)
  },
  async function inPieces(client, draw) {
    const asked = [question(draw), question(draw)]
    const text = asked.map(one => one.text).join('')
    const reading = read(client, asked)
    await client.sendInPieces(text, Math.max(1, Math.ceil(text.length / (1 + draw.below(80)))))
    await reading
  },
  async function halfClosing(client, draw) {
    const asked = Array.from({ length: 1 + draw.below(4) }, () => question(draw))
    client.send(asked.map(({ text }) => text).join(''))
    client.halfClose()
    await read(client, asked)
  },
  async function leaving(client, draw) {
    const text = Array.from({ length: 1 + draw.below(3) }, () => question(draw).text).join('')
    client.send(text.slice(0, draw.below(text.length)))
    await pause(draw.below(20))
    if (draw.below(2) === 0) client.reset()
    else client.destroy()
  },
  async function leavingAtTheAnswer(client, draw) {
    client.send(question(draw).text + question(draw).text)
    client.socket.once('data', () => (draw.below(2) === 0 ? client.reset() : client.destroy()))
    await pause(50)
  },
  async function stalling(client, draw) {
    const asked = Array.from({ length: 3 }, () => question(draw))
    client.stall()
    client.send(asked.map(({ text }) => text).join(''))
    await pause(100 + draw.below(300))
    client.socket.resume()
    await read(client, asked)
  },
  async function attacking(client, draw) {
    const asked = question(draw)
    const attack = draw.of([
      'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST /plain?evil HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n',
      '\0\0\0',
    ])
    client.send(`${asked.text}${attack}GET /plain?smuggled HTTP/1.1\r\nHost: a\r\n\r\n`)
    await read(client, [asked])
  },
]

t.test(
  `clients and apps at random leave nothing behind and never get each other's answers (ATTACK_SEED=${SEED})`,
  async t => {
    const apps = [await RecordingUpstream.start(t), await RecordingUpstream.start(t)]
    for (const app of apps) {
      for (const [name, script] of Object.entries(APPS)) app.on(`/${name}`, script)
    }
    const causeway = await startCauseway(t, {
      config: configText({
        endpoints: apps.map(({ port }) => port),
        workers: 2,
        listener: 'timeouts = { header = "1s", body = "1s", keepalive = "1s", write = "2s" }',
        upstream: `
max_inflight = 6
queue = { timeout = "2s", length = 80 }
timeouts = { connect = "500ms", response = "500ms", idle = "500ms" }
passive = { failures = 3, eject = "100ms" }
retry = { attempts = 2 }`,
      }),
    })
    const draw = new Draw(SEED)
    let left = CLIENTS
    const worker = async () => {
      while (left > 0) {
        left -= 1
        const behave = draw.of(CLIENT_KINDS)
        const client = await RawClient.connect(causeway.port())
        await within(`a client that is ${behave.name}`, behave(client, draw), 14_000).catch(
          (error: unknown) => wrong.push(String(error)),
        )
        client.destroy()
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    t.same(wrong, [], 'every answer belongs to its request')
    t.ok(seenWhole > CLIENTS / 4, `${seenWhole} whole answers`)
    for (const app of apps) {
      t.same(
        app.requests.filter(({ target }) => target.includes('smuggled')),
        [],
        'nothing was smuggled',
      )
    }
    await causeway.metric('causeway_connections_active', {}, value => value === 0)
    await causeway.metric('causeway_upstream_connections', { state: 'active' }, value => value === 0)
    await assertClean(t, causeway, apps)
  },
)
