import { CONNECT_BOUNDS, FINE_BOUNDS, LATENCY_BOUNDS } from '../lib/base/cells.ts'
import { END_CAUSES } from '../lib/base/errors.ts'
import { MIRROR_RESULTS } from '../lib/proxy/mirror-measures.ts'
import { SPOOL_BLOCK, SPOOL_OUTCOMES, SPOOLED } from '../lib/proxy/spool-measures.ts'
import {
  COMPRESSION_RESULTS,
  MADE_CODINGS,
  NAME_STATES,
  STATIC_BLOCK,
} from '../lib/static/static-measures.ts'
import {
  ATTEMPT_ERRORS,
  ENDPOINT_BLOCK,
  QUEUE_REJECTIONS,
  RETRY_RESULTS,
  UPSTREAM_BLOCK,
} from '../upstreams/measures.ts'
import {
  ABORT_PHASES,
  CODES,
  EXCHANGE_BLOCK,
  HANDSHAKE_RESULTS,
  LISTENER_BLOCK,
  METHODS,
  PRIORITIES,
  REJECTIONS,
  SHED_CAUSES,
} from './blocks.ts'
import { ENDPOINT_FAMILIES } from './endpoint-families.ts'
import { cell, type Family, histogram, list, short, since, table } from './family.ts'
import { PROCESS_FAMILIES } from './process-families.ts'
import { PROTOCOL_ERRORS } from './protocol-errors.ts'

const exchange = EXCHANGE_BLOCK.at
const listener = LISTENER_BLOCK.at
const spool = SPOOL_BLOCK.at
const files = STATIC_BLOCK.at
const upstream = UPSTREAM_BLOCK.at
const endpoint = ENDPOINT_BLOCK.at

const FRONT: readonly Family[] = [
  {
    name: 'causeway_requests_total',
    type: 'counter',
    labels: ['listener', 'route', 'method', 'code'],
    help: 'Client requests that ended, by final status code; 499 where the client left before an answer.',
    source: table('exchange', exchange.requests, [
      { label: 'method', values: METHODS },
      { label: 'code', values: CODES },
    ]),
  },
  {
    name: 'causeway_request_duration_seconds',
    type: 'histogram',
    labels: ['listener', 'route'],
    help: 'First request byte to last response byte; without tunnels.',
    source: histogram('exchange', exchange.duration, LATENCY_BOUNDS),
  },
  {
    name: 'causeway_proxy_overhead_seconds',
    type: 'histogram',
    labels: [],
    help: 'Time that the proxy itself added to an exchange that waited for nobody but one endpoint.',
    source: histogram('exchange', exchange.overhead, FINE_BOUNDS),
  },
  {
    name: 'causeway_requests_in_flight',
    type: 'gauge',
    labels: ['listener'],
    help: 'Requests being processed.',
    source: cell('listener', listener.inflight),
  },
  {
    name: 'causeway_request_bytes_total',
    type: 'counter',
    labels: ['listener', 'route'],
    help: 'Bytes from clients, heads included.',
    source: cell('exchange', exchange.bytesIn),
  },
  {
    name: 'causeway_response_bytes_total',
    type: 'counter',
    labels: ['listener', 'route'],
    help: 'Bytes to clients, heads included.',
    source: cell('exchange', exchange.bytesOut),
  },
  {
    name: 'causeway_exchange_ends_total',
    type: 'counter',
    labels: ['listener', 'route', 'end'],
    help: 'How exchanges ended: ok, or one word for what went wrong, as in the access log.',
    source: table('exchange', exchange.ends, [{ label: 'end', values: END_CAUSES }]),
  },
  {
    name: 'causeway_responses_generated_total',
    type: 'counter',
    labels: ['route', 'reason'],
    help: 'Error answers made by the proxy itself, by the same words.',
    source: table('exchange', exchange.generated, [{ label: 'reason', values: END_CAUSES }]),
  },
  {
    name: 'causeway_client_aborts_total',
    type: 'counter',
    labels: ['route', 'phase'],
    help: 'Clients that left before the end, by what was going on.',
    source: list('exchange', exchange.aborts, 'phase', ABORT_PHASES),
  },
  {
    name: 'causeway_mirrored_requests_total',
    type: 'counter',
    labels: ['route', 'result'],
    help: 'Copies of requests: ok (answered, whatever the status), failed (no answer), dropped (never sent).',
    source: table('exchange', exchange.mirrored, [{ label: 'result', values: MIRROR_RESULTS }]),
  },
  {
    name: 'causeway_shed_requests_total',
    type: 'counter',
    labels: ['cause', 'priority'],
    help: 'Requests refused because the process had too much to do.',
    source: short('exchange', exchange.shed, [
      { label: 'cause', values: SHED_CAUSES },
      { label: 'priority', values: PRIORITIES },
    ]),
  },
  {
    name: 'causeway_connections_total',
    type: 'counter',
    labels: ['listener'],
    help: 'Client connections accepted.',
    source: cell('listener', listener.connections),
  },
  {
    name: 'causeway_connections_active',
    type: 'gauge',
    labels: ['listener'],
    help: 'Client connections open now.',
    source: cell('listener', listener.active),
  },
  {
    name: 'causeway_tls_handshakes_total',
    type: 'counter',
    labels: ['listener', 'result'],
    help: 'TLS handshakes of clients: full, resumed (by an earlier session), or why they came to nothing.',
    source: table('listener', listener.handshakes, [{ label: 'result', values: HANDSHAKE_RESULTS }]),
  },
  {
    name: 'causeway_connections_rejected_total',
    type: 'counter',
    labels: ['listener', 'reason'],
    help: 'Client connections closed at once: over the limit, or out of file descriptors.',
    source: list('listener', listener.rejected, 'reason', REJECTIONS),
  },
  {
    name: 'causeway_connections_evicted_total',
    type: 'counter',
    labels: ['listener', 'reason'],
    help: 'Idle client connections closed to make room for others: at the limit, or for want of file descriptors.',
    source: list('listener', listener.evicted, 'reason', REJECTIONS),
  },
  {
    name: 'causeway_protocol_errors_total',
    type: 'counter',
    labels: ['listener', 'kind'],
    help: 'Requests refused because their bytes break the protocol.',
    source: list('listener', listener.protocolErrors, 'kind', PROTOCOL_ERRORS),
  },
]

const SPOOL: readonly Family[] = [
  {
    name: 'causeway_spool_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Memory that holds bodies for slow clients now.',
    source: cell('spool', spool.memory),
  },
  {
    name: 'causeway_spool_file_bytes',
    type: 'gauge',
    labels: [],
    help: 'Bytes of bodies that wait in files now.',
    source: cell('spool', spool.disk),
  },
  {
    name: 'causeway_spool_files',
    type: 'gauge',
    labels: [],
    help: 'Files that are open for them; each takes a file descriptor.',
    source: cell('spool', spool.files),
  },
  {
    name: 'causeway_spool_bodies_total',
    type: 'counter',
    labels: ['body', 'outcome'],
    help: 'Request bodies taken whole and answers read ahead, by where they waited; full: no room, a request was refused, an answer waited for its client; abandoned: the client left.',
    source: short('spool', spool.bodies, [
      { label: 'body', values: SPOOLED },
      { label: 'outcome', values: SPOOL_OUTCOMES },
    ]),
  },
]

const STATIC: readonly Family[] = [
  {
    name: 'causeway_static_cache_bytes',
    type: 'gauge',
    labels: [],
    help: 'Memory that keeps files because they were asked for, in all data threads together.',
    source: cell('static', files.cacheBytes),
  },
  {
    name: 'causeway_static_held_bytes',
    type: 'gauge',
    labels: [],
    help: 'Memory that holds files which manifests name, for when a deploy has removed them, in all data threads together.',
    source: cell('static', files.heldBytes),
  },
  {
    name: 'causeway_static_held_files',
    type: 'gauge',
    labels: [],
    help: 'Files in that memory; each data thread has its own copies.',
    source: cell('static', files.heldFiles),
  },
  {
    name: 'causeway_static_held_served_total',
    type: 'counter',
    labels: [],
    help: 'Answers that were files which a deploy had removed.',
    source: cell('static', files.heldServed),
  },
  {
    name: 'causeway_static_names',
    type: 'gauge',
    labels: ['state'],
    help: 'Names with a content hash: in the newest manifests, or leaving because only an earlier one has them.',
    source: list('static', files.names, 'state', NAME_STATES),
  },
  {
    name: 'causeway_static_manifest_errors_total',
    type: 'counter',
    labels: [],
    help: 'Manifests that could not be used; the last good one goes on, and the log says which.',
    source: cell('static', files.manifestErrors),
  },
  {
    name: 'causeway_static_compressions_total',
    type: 'counter',
    labels: ['coding', 'result'],
    help: 'Files compressed here: made, useless (gains too little, sent as it is), failed (no descriptor or memory).',
    source: short('static', files.compressions, [
      { label: 'coding', values: MADE_CODINGS },
      { label: 'result', values: COMPRESSION_RESULTS },
    ]),
  },
]

const UPSTREAM: readonly Family[] = [
  {
    name: 'causeway_upstream_requests_total',
    type: 'counter',
    labels: ['upstream', 'server', 'code_class'],
    help: 'Attempts, not requests: a retry counts again.',
    source: list('endpoint', endpoint.attempts, 'code_class', ['1xx', '2xx', '3xx', '4xx', '5xx', 'error']),
  },
  {
    name: 'causeway_upstream_request_duration_seconds',
    type: 'histogram',
    labels: ['upstream', 'server'],
    help: 'Attempt start to last byte.',
    source: histogram('endpoint', endpoint.duration, LATENCY_BOUNDS),
  },
  {
    name: 'causeway_upstream_connect_duration_seconds',
    type: 'histogram',
    labels: ['upstream'],
    help: 'Time to connect.',
    source: histogram('upstream', upstream.connect, CONNECT_BOUNDS),
  },
  {
    name: 'causeway_upstream_first_byte_seconds',
    type: 'histogram',
    labels: ['upstream'],
    help: "Request sent to response head: the app's own time.",
    source: histogram('upstream', upstream.firstByte, LATENCY_BOUNDS),
  },
  {
    name: 'causeway_upstream_queue_duration_seconds',
    type: 'histogram',
    labels: ['upstream'],
    help: 'Wait for a free slot, of requests that had to wait.',
    source: histogram('upstream', upstream.queueWait, LATENCY_BOUNDS),
  },
  {
    name: 'causeway_upstream_queue_depth',
    type: 'gauge',
    labels: ['upstream'],
    help: 'Requests that wait for a slot now.',
    source: cell('upstream', upstream.queueDepth),
  },
  {
    name: 'causeway_upstream_queue_rejected_total',
    type: 'counter',
    labels: ['upstream', 'reason'],
    help: 'Requests that left the queue without a slot.',
    source: list('upstream', upstream.queueRejected, 'reason', QUEUE_REJECTIONS),
  },
  {
    name: 'causeway_upstream_errors_total',
    type: 'counter',
    labels: ['upstream', 'server', 'kind'],
    help: 'Attempts that failed without a whole HTTP answer.',
    source: list('endpoint', endpoint.errors, 'kind', ATTEMPT_ERRORS),
  },
  {
    name: 'causeway_upstream_retries_total',
    type: 'counter',
    labels: ['upstream', 'result'],
    help: 'Second and later attempts, and why there was none.',
    source: list('upstream', upstream.retries, 'result', RETRY_RESULTS),
  },
  {
    name: 'causeway_upstream_connection_reuses_total',
    type: 'counter',
    labels: ['upstream', 'server'],
    help: 'Attempts that took an open connection from the pool.',
    source: cell('endpoint', endpoint.reuses),
  },
  {
    name: 'causeway_upstream_tunnels',
    type: 'gauge',
    labels: ['upstream', 'server'],
    help: 'Tunnels (WebSocket, or TLS passed on) that are open now, where there ever was one.',
    source: since(endpoint.tunnelsOpened, cell('endpoint', endpoint.tunnels)),
  },
  {
    name: 'causeway_upstream_tunnels_total',
    type: 'counter',
    labels: ['upstream', 'server'],
    help: 'Tunnels opened: the server has switched protocols, or was reached where TLS is passed on.',
    source: since(endpoint.tunnelsOpened, cell('endpoint', endpoint.tunnelsOpened)),
  },
  {
    name: 'causeway_upstream_tunnel_bytes_total',
    type: 'counter',
    labels: ['upstream', 'server', 'direction'],
    help: 'Bytes through tunnels, counted as they pass: sent to the server, received from it.',
    source: since(
      endpoint.tunnelsOpened,
      list('endpoint', endpoint.tunnelBytesSent, 'direction', ['sent', 'received']),
    ),
  },
  {
    name: 'causeway_upstream_abandoned_total',
    type: 'counter',
    labels: ['upstream', 'server'],
    help: 'Requests whose client left while the server worked on them, and whose slot stayed taken until it had ended them.',
    source: since(endpoint.abandoned, cell('endpoint', endpoint.abandoned)),
  },
  {
    name: 'causeway_upstream_abandoned_in_flight',
    type: 'gauge',
    labels: ['upstream', 'server'],
    help: 'Of them now.',
    source: since(endpoint.abandoned, cell('endpoint', endpoint.abandonedNow)),
  },
]

/** Every metric of ours. The rows of metrics/README.md are these. */
export const CATALOGUE: readonly Family[] = [
  ...FRONT,
  ...SPOOL,
  ...STATIC,
  ...UPSTREAM,
  ...ENDPOINT_FAMILIES,
  ...PROCESS_FAMILIES,
]

/**
 * First cells of all gauges in a block, by owner: when a data thread dies its column of these is set to 0,
 * because nobody will count them down.
 */
export const GAUGE_CELLS = {
  spool: [spool.memory, spool.arena, spool.disk, spool.promised, spool.files],
  static: [files.cacheBytes, files.heldBytes, files.heldFiles, files.names, files.names + 1],
  listener: [listener.active, listener.idle, listener.inflight],
  upstream: [upstream.queueDepth],
  endpoint: [endpoint.inflight, endpoint.idle, endpoint.active, endpoint.tunnels, endpoint.abandonedNow],
} as const
