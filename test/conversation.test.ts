import t from 'tap'
import { isConversation } from '../lib/http/conversation.ts'
import type { FieldName } from '../lib/http/field-ids.ts'
import { FieldList } from '../lib/http/field-list.ts'
import type { RequestHead } from '../lib/http/message.ts'

type Pairs = [FieldName, string][]
const GRPC: Pairs = [
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
]
const typed = (type: string): Pairs => [
  ['content-type', type],
  ['te', 'trailers'],
]

const CASES: readonly [
  what: string,
  protocol: RequestHead['protocol'],
  framing: RequestHead['framing'],
  fields: Pairs,
  answered: boolean,
  conversation: boolean,
][] = [
  ['a gRPC call from its beginning on', 'HTTP/2.0', 'chunked', GRPC, false, true],
  ['its content type with a codec', 'HTTP/2.0', 'chunked', typed('application/grpc+proto'), false, true],
  ['the same in capitals', 'HTTP/2.0', 'chunked', typed('Application/GRPC;v=1'), false, true],
  ['a gRPC message whose length is known is an upload', 'HTTP/2.0', 'length', GRPC, false, false],
  ['and stays one', 'HTTP/2.0', 'length', GRPC, true, false],
  ['gRPC-Web sends its request first', 'HTTP/2.0', 'chunked', typed('application/grpc-web'), false, false],
  ['without trailers it is no gRPC', 'HTTP/2.0', 'chunked', GRPC.slice(0, 1), false, false],
  ['nor is it over HTTP/1.1', 'HTTP/1.1', 'chunked', GRPC, false, false],
  ['a body of unknown length before its answer', 'HTTP/2.0', 'chunked', [], false, false],
  ['and once that has begun', 'HTTP/2.0', 'chunked', [], true, true],
  ['chunks of HTTP/1.1 before the answer', 'HTTP/1.1', 'chunked', [], false, false],
  ['and once that has begun', 'HTTP/1.1', 'chunked', [], true, true],
  ['an upload of known length that is answered early', 'HTTP/1.1', 'length', [], true, false],
  ['a request without a body', 'HTTP/1.1', 'none', [], true, false],
]

for (const [what, protocol, framing, fields, answered, conversation] of CASES)
  t.equal(isConversation({ protocol, framing, fields: FieldList.of(fields) }, answered), conversation, what)
