import { endCauseOf } from '../../lib/base/errors.ts'
import type { Exchange } from '../../lib/http/exchange.ts'
import {
  bytes,
  type ExchangeBench,
  head,
  kept,
  type Lacks,
  NONE,
  Owner,
  owned,
  type Tap,
} from './exchange-bench.ts'
import { exchangePolicies } from './exchange-policies.ts'

/** What every implementation of Exchange does, whatever it speaks. To be called in a test file of its own. */
export function exchangeContract(t: Tap, name: string, bench: ExchangeBench, lacks: Lacks = {}): void {
  answers(t, name, bench)
  endings(t, name, bench)
  if (lacks.wire !== true) framing(t, name, bench)
  if (lacks.wire !== true) exchangePolicies(t, name, bench)
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
