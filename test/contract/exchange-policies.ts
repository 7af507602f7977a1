import { type AnswerPolicy, NO_POLICY } from '../../lib/http/answer-policy.ts'
import type { Exchange } from '../../lib/http/exchange.ts'
import { FieldList } from '../../lib/http/field-list.ts'
import { bytes, type ExchangeBench, head, kept, Owner, owned, type Tap } from './exchange-bench.ts'

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

/** What a route says about answers is on every answer, whoever made it and whatever it is sent by. */
export function exchangePolicies(t: Tap, name: string, bench: ExchangeBench): void {
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
