import { CONNECT_BOUNDS, defineBlock, histogramSize, LATENCY_BOUNDS } from '../lib/base/cells.ts'

/** Ends of an attempt that are no HTTP answer; the order is the order of their cells. */
export const ATTEMPT_ERRORS = [
  'connect',
  'connect_timeout',
  'reset',
  'header_timeout',
  'body_timeout',
  'protocol',
] as const
export type AttemptError = (typeof ATTEMPT_ERRORS)[number]

export const QUEUE_REJECTIONS = ['full', 'timeout', 'client_gone', 'evicted'] as const
export type QueueRejection = (typeof QUEUE_REJECTIONS)[number]

export const RETRY_RESULTS = ['success', 'failure', 'budget_exhausted', 'not_replayable'] as const
export type RetryResult = (typeof RETRY_RESULTS)[number]

/** Cells of one endpoint. Attempts are counted, not requests: a retry counts again. */
export const ENDPOINT_BLOCK = defineBlock({
  /** Answers by class 1xx to 5xx, then attempts without an answer. */
  attempts: 6,
  /** In the order of ATTEMPT_ERRORS. */
  errors: ATTEMPT_ERRORS.length,
  /** Attempt start to last byte, seconds. */
  duration: histogramSize(LATENCY_BOUNDS),
  /** Gauges: requests running; sockets that wait in the pool; sockets in use. */
  inflight: 1,
  idle: 1,
  active: 1,
  /** Attempts that took a socket from the pool. */
  reuses: 1,
  /** Gauge: tunnels open. Then tunnels opened so far, and bytes through them to the app and from it. */
  tunnels: 1,
  tunnelsOpened: 1,
  tunnelBytesSent: 1,
  tunnelBytesReceived: 1,
  /**
   * Requests whose client left while the app worked on them, and whose slot stayed taken; gauge: of them now.
   */
  abandoned: 1,
  abandonedNow: 1,
  /** Sum of the times to the first byte, seconds, and how many there were. */
  firstByteSum: 1,
  firstBytes: 1,
})

/** Cells of one upstream. */
export const UPSTREAM_BLOCK = defineBlock({
  /** Seconds to connect. */
  connect: histogramSize(CONNECT_BOUNDS),
  /** Request sent to answer's head, seconds: the app's own time. */
  firstByte: histogramSize(LATENCY_BOUNDS),
  /** Seconds in the queue, of requests that had to wait. */
  queueWait: histogramSize(LATENCY_BOUNDS),
  /** Gauge: requests in the queue now. */
  queueDepth: 1,
  /** In the order of QUEUE_REJECTIONS. */
  queueRejected: QUEUE_REJECTIONS.length,
  /** In the order of RETRY_RESULTS. */
  retries: RETRY_RESULTS.length,
})
