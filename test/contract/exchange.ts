import type t from 'tap'
import type { Test } from 'tap'
import { endCauseOf } from '../../lib/base/errors.ts'
import type { AnswerPolicy } from '../../lib/http/answer-policy.ts'
import { NO_POLICY } from '../../lib/http/answer-policy.ts'
import type { Exchange, ExchangeOwner, KeptAnswer } from '../../lib/http/exchange.ts'
import { FieldList } from '../../lib/http/field-list.ts'

type Tap = Pick<typeof t, 'test'>

/** A request of the bench's client. */
export interface Asked {
  /** GET if there is no body, POST if there is one. */
  readonly method?: string
  readonly body?: string
  /** The body is sent without its length. */
  readonly unknownLength?: boolean
}

/** What the client has seen of an answer. */
export interface Seen {
  readonly status: number
  /** Lower-case names. */
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
  /** False: the client can tell that something is missing. */
  readonly whole: boolean
}

/** One implementation of Exchange with a client on the other side. */
export interface ExchangeBench {
  /** Sends a request and lets `act` answer; resolves when the client has an answer, or knows that it gets none. */
  ask(t: Test, asked: Asked, act: (exchange: Exchange) => void): Promise<Seen>
  /** Sends a request and leaves when `act` has run; resolves when the exchange has ended. */
  leave(t: Test, act: (exchange: Exchange) => void): Promise<void>
}

/** What an implementation does not have: it stands for less than a protocol. */
export interface Lacks {
  /** It has no body to receive. */
  readonly requestBodies?: boolean
  /** It keeps what handlers answer and not what a client sees: lengths, pages and policies are the fronts'. */
  readonly wire?: boolean
}

class Owner implements ExchangeOwner {
  gone = 0
  drained = 0

  answerDrained(): void {
    this.drained += 1
  }

  clientGone(): void {
    this.gone += 1
  }
}

const NONE = FieldList.of([])
const ONE = FieldList.of([['X-One', '1']])

const head = (length: number | undefined, status = 200, fields = ONE) => ({
  status,
  reason: '',
  fields,
  length,
})
const kept = (text: string): KeptAnswer => {
  const body = Buffer.from(text)
  return { head: head(body.length), body, rendering: undefined, http2Rendering: undefined }
}
const bytes = Buffer.from('0123456789')

/** Answers with what `act` does, `owner` attached before. */
function owned(owner: Owner, act: (exchange: Exchange) => void): (exchange: Exchange) => void {
  return exchange => {
    exchange.attach(owner)
    act(exchange)
  }
}

/** What every implementation of Exchange does, whatever it speaks. To be called in a test file of its own. */
export function exchangeContract(t: Tap, name: string, bench: ExchangeBench, lacks: Lacks = {}): void {
  answers(t, name, bench)
  endings(t, name, bench)
  if (lacks.wire !== true) framing(t, name, bench)
  if (lacks.wire !== true) policies(t, name, bench)
  if (lacks.requestBodies !== true) requestBodies(t, name, bench)
}

function answers(t: Tap, name: string, bench: ExchangeBench): void {
  t.test(`${name}: head, bytes and text arrive in order, and the answer is whole`, async t => {
    for (const length of [13, undefined]) {
      const seen = await bench.ask(
        t,
        {},
        owned(new Owner(), exchange => {
          exchange.begin(head(length, 203))
          exchange.write(bytes, 2, 12 - 2)
          exchange.flush()
          exchange.writeText('ab')
          t.equal(exchange.offer(bytes, 0, 3), 3)
          t.equal(exchange.room(7), 7)
          t.ok(exchange.answered)
          exchange.end()
          t.ok(exchange.ended)
        }),
      )
      t.match(seen, { status: 203, fields: { 'x-one': '1' }, body: '23456789ab012', whole: true })
    }
  })

  t.test(`${name}: an answer that is kept is given whole, again and again`, async t => {
    const answer = kept('kept')
    for (let i = 0; i < 2; i += 1) {
      const seen = await bench.ask(
        t,
        {},
        owned(new Owner(), exchange => exchange.answerKept(answer)),
      )
      t.match(seen, { status: 200, fields: { 'x-one': '1' }, body: 'kept', whole: true })
    }
  })

  t.test(`${name}: nothing of a body is sent to a HEAD`, async t => {
    for (const act of [
      (exchange: Exchange) => {
        exchange.begin(head(4))
        exchange.writeText('abcd')
        exchange.end()
      },
      (exchange: Exchange) => exchange.answerKept(kept('abcd')),
    ]) {
      const seen = await bench.ask(t, { method: 'HEAD' }, owned(new Owner(), act))
      t.match(seen, { status: 200, body: '', whole: true })
    }
  })
}

function endings(t: Tap, name: string, bench: ExchangeBench): void {
  t.test(`${name}: a call on one that has ended does nothing`, async t => {
    const owner = new Owner()
    const seen = await bench.ask(
      t,
      {},
      owned(owner, exchange => {
        exchange.begin(head(2))
        exchange.writeText('ab')
        exchange.end()
        exchange.begin(head(2, 500))
        exchange.writeText('cd')
        t.equal(exchange.offer(bytes, 0, 3), 3, 'what is offered counts as taken')
        exchange.flush()
        exchange.answerKept(kept('ef'))
        exchange.end()
        exchange.fail('INTERNAL', 'too late')
        t.equal(exchange.record.end, 'ok')
        t.equal(exchange.record.status, 200)
      }),
    )
    t.match(seen, { status: 200, body: 'ab', whole: true })
    t.equal(owner.gone, 0)
  })

  t.test(`${name}: a failure before the answer is an error answer, and its owner stops once`, async t => {
    const owner = new Owner()
    const seen = await bench.ask(
      t,
      {},
      owned(owner, exchange => {
        exchange.fail('NO_ENDPOINT', 'for the log')
        exchange.fail('INTERNAL', 'too late')
        t.match(exchange.record, { end: endCauseOf('NO_ENDPOINT'), detail: 'for the log' })
        t.ok(exchange.ended)
      }),
    )
    t.match(seen, { status: 503, whole: true })
    t.equal(owner.gone, 1)
  })

  t.test(`${name}: a failure inside the answer is one that its client can tell`, async t => {
    for (const length of [9, undefined]) {
      const owner = new Owner()
      const seen = await bench.ask(
        t,
        {},
        owned(owner, exchange => {
          exchange.begin(head(length))
          exchange.writeText('abcd')
          exchange.flush()
          setImmediate(() => exchange.fail('UPSTREAM_CLOSED', 'half of it'))
        }),
      )
      t.notOk(seen.whole, `length ${length}`)
      t.equal(owner.gone, 1)
    }
  })

  t.test(`${name}: an owner is told once of a client that has left`, async t => {
    const owner = new Owner()
    let left: Exchange | undefined
    await bench.leave(
      t,
      owned(owner, exchange => {
        left = exchange
        exchange.begin(head(9))
        exchange.writeText('abc')
        exchange.flush()
      }),
    )
    t.equal(owner.gone, 1)
    left?.writeText('def')
    left?.end()
    left?.fail('INTERNAL', 'too late')
    t.equal(owner.gone, 1)
    t.not(left?.record.end, 'internal')
  })
}

/** How much of a body is sent. */
function framing(t: Tap, name: string, bench: ExchangeBench): void {
  t.test(`${name}: no byte is sent beyond the promised length`, async t => {
    for (const write of [
      (exchange: Exchange) => exchange.writeText('abcdef'),
      (exchange: Exchange) => exchange.write(Buffer.from('abcdef'), 0, 6),
      (exchange: Exchange) => exchange.offer(Buffer.from('abcdef'), 0, 6),
    ]) {
      const seen = await bench.ask(
        t,
        {},
        owned(new Owner(), exchange => {
          exchange.begin(head(4))
          write(exchange)
          exchange.end()
        }),
      )
      t.match(seen, { body: 'abcd', whole: true })
    }
  })

  t.test(`${name}: an answer that is shorter than its length is not whole`, async t => {
    const owner = new Owner()
    const seen = await bench.ask(
      t,
      {},
      owned(owner, exchange => {
        exchange.begin(head(4))
        exchange.writeText('ab')
        exchange.end()
        t.match(exchange.record, { end: 'internal' })
      }),
    )
    t.notOk(seen.whole)
    t.equal(owner.gone, 1)
  })

  t.test(`${name}: 204, 205 and 304 have no body (RFC 9110 15.3.5, 15.3.6, 15.4.5)`, async t => {
    for (const status of [204, 205, 304]) {
      const seen = await bench.ask(
        t,
        {},
        owned(new Owner(), exchange => {
          exchange.begin(head(4, status))
          exchange.writeText('abcd')
          exchange.end()
        }),
      )
      t.match(seen, { status, body: '', whole: true })
    }
  })
}

const HSTS: AnswerPolicy = {
  ...NO_POLICY,
  hsts: 'max-age=1',
  pages: [{ from: 503, to: 503, type: 'text/x-page', text: 'ours {request_id}' }],
  retryAfterSeconds: 7,
}

/** The kinds of answers that there are: what a route says about answers has to be on all of them. */
const KINDS: Readonly<Record<string, (exchange: Exchange) => void>> = {
  'an app answers': exchange => {
    exchange.begin(head(undefined))
    exchange.writeText('abcd')
    exchange.end()
  },
  'a file is sent': exchange => {
    exchange.begin(head(4))
    exchange.write(bytes, 0, 4)
    exchange.end()
  },
  'a kept file is sent': exchange => exchange.answerKept(kept('abcd')),
  'it is redirected': exchange => {
    exchange.begin(head(0, 301, FieldList.of([['Location', '/x']])))
    exchange.end()
  },
  'it has no content': exchange => {
    exchange.begin(head(undefined, 204))
    exchange.end()
  },
  'it is refused': exchange => exchange.fail('MAINTENANCE'),
  'it fails': exchange => exchange.fail('UPSTREAM_TIMEOUT'),
}

function policies(t: Tap, name: string, bench: ExchangeBench): void {
  t.test(`${name}: what the route says about answers is on every one of them`, async t => {
    for (const [kind, act] of Object.entries(KINDS)) {
      for (const scheme of ['https', 'http'] as const) {
        const seen = await bench.ask(
          t,
          {},
          owned(new Owner(), exchange => {
            exchange.policy = HSTS
            overScheme(exchange, scheme)
            act(exchange)
          }),
        )
        const wanted = scheme === 'https' ? 'max-age=1' : undefined
        t.equal(seen.fields['strict-transport-security'], wanted, `${kind}, ${scheme}`)
      }
    }
  })

  t.test(`${name}: what an answer says itself goes before the route`, async t => {
    const fields = FieldList.of([['Strict-Transport-Security', 'max-age=2']])
    const seen = await bench.ask(
      t,
      {},
      owned(new Owner(), exchange => {
        exchange.policy = HSTS
        overScheme(exchange, 'https')
        exchange.begin(head(0, 200, fields))
        exchange.end()
      }),
    )
    t.equal(seen.fields['strict-transport-security'], 'max-age=2')
  })

  t.test(`${name}: a kept answer of routes that say different things is theirs each time`, async t => {
    const answer = kept('kept')
    const policies = [HSTS, undefined, { ...HSTS, hsts: 'max-age=3' }, HSTS]
    const values: (string | undefined)[] = []
    for (const policy of policies) {
      const seen = await bench.ask(
        t,
        {},
        owned(new Owner(), exchange => {
          exchange.policy = policy
          overScheme(exchange, 'https')
          exchange.answerKept(answer)
        }),
      )
      t.equal(seen.body, 'kept')
      values.push(seen.fields['strict-transport-security'])
    }
    t.same(values, ['max-age=1', undefined, 'max-age=3', 'max-age=1'])
  })

  t.test(`${name}: the route's page is what an error says, and its Retry-After`, async t => {
    const seen = await bench.ask(
      t,
      {},
      owned(new Owner(), exchange => {
        exchange.policy = HSTS
        exchange.fail('NO_ENDPOINT')
      }),
    )
    t.match(seen, { status: 503, fields: { 'content-type': 'text/x-page', 'retry-after': '7' } })
    t.match(seen.body, /^ours ./)
  })
}

/** As if a trusted proxy had said how the client came. */
function overScheme(exchange: Exchange, scheme: 'http' | 'https'): void {
  Object.defineProperty(exchange.origin, 'scheme', { value: scheme })
}

/** Gathers a body; answers with it. */
function echo(exchange: Exchange): void {
  let text = ''
  exchange.receiveBody({
    bodyBytes: (bytes, start, end) => {
      text += Buffer.from(bytes.subarray(start, end)).toString()
    },
    bodyFlush: () => undefined,
    bodyEnd: () => {
      exchange.begin(head(text.length, 200, NONE))
      exchange.writeText(text)
      exchange.end()
    },
  })
}

function requestBodies(t: Tap, name: string, bench: ExchangeBench): void {
  t.test(`${name}: a body flows to its reader, also later and after a pause`, async t => {
    for (const unknownLength of [false, true]) {
      for (const act of [
        echo,
        (exchange: Exchange) => void setImmediate(() => echo(exchange)),
        (exchange: Exchange) => {
          echo(exchange)
          exchange.pauseBody()
          setImmediate(() => exchange.resumeBody())
        },
      ]) {
        const seen = await bench.ask(t, { body: 'a body', unknownLength }, owned(new Owner(), act))
        t.match(seen, { status: 200, body: 'a body', whole: true })
      }
    }
  })

  t.test(`${name}: a body is held to what is allowed, also where that was said after its head`, async t => {
    for (const unknownLength of [false, true]) {
      for (const [limit, status] of [
        [6, 200],
        [5, 413],
      ] as const) {
        const seen = await bench.ask(
          t,
          { body: 'a body', unknownLength },
          owned(new Owner(), exchange => {
            exchange.limitBody(limit)
            if (!exchange.ended) echo(exchange)
          }),
        )
        t.equal(seen.status, status, `${limit} bytes, unknown length: ${unknownLength}`)
      }
    }
  })

  t.test(`${name}: without another word the listener's limit counts`, async t => {
    const over = 'x'.repeat(1_000_001)
    const seen = await bench.ask(
      t,
      { body: over },
      owned(new Owner(), exchange => {
        exchange.limitBody(undefined)
        if (!exchange.ended) echo(exchange)
      }),
    )
    t.equal(seen.status, 413)
  })
}
