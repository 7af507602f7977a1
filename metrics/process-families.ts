import {
  LOG_NAMES,
  RESTART_REASONS,
  THREAD_KINDS,
  UNCAUGHT_KINDS,
  WORKER_STATES,
  type WorkerFacts,
} from './facts.ts'
import type { Family, FamilyType, Sample, View } from './family.ts'

/** What the control thread says about the process, its configuration and its threads. */
export const PROCESS_FAMILIES: readonly Family[] = [
  read('causeway_build_info', 'gauge', ['version', 'node'], 'Always 1: the running version.', ({ facts }) => [
    { labels: { version: facts.version, node: process.version }, value: 1 },
  ]),
  read('causeway_config_info', 'gauge', ['hash'], 'Always 1: the running configuration.', ({ facts }) => [
    { labels: { hash: facts.configHash }, value: 1 },
  ]),
  read('causeway_config_reloads_total', 'counter', ['result'], 'Reloads since the start.', ({ facts }) => [
    { labels: { result: 'success' }, value: facts.reloads.success },
    { labels: { result: 'failure' }, value: facts.reloads.failure },
  ]),
  read(
    'causeway_config_last_reload_successful',
    'gauge',
    [],
    '0 while the newest configuration is rejected and an older one is running.',
    ({ facts }) => [{ labels: {}, value: facts.lastReloadOk ? 1 : 0 }],
  ),
  read(
    'causeway_config_last_reload_success_timestamp_seconds',
    'gauge',
    [],
    'Time at which the running configuration was loaded.',
    ({ facts }) => [{ labels: {}, value: facts.lastReloadOkAtMs / 1000 }],
  ),
  read(
    'causeway_config_generation',
    'gauge',
    ['worker'],
    'Generation of the configuration that each data thread runs.',
    view => perWorker(view, worker => worker.generation),
  ),
  read(
    'causeway_certificate_expiry_timestamp_seconds',
    'gauge',
    ['listener', 'name', 'key', 'source'],
    'Expiry of each certificate presented to clients, by its first name, key type and source: files or acme.',
    ({ facts }) =>
      facts.certificates.map(({ listener, name, keyType, renewed, notAfterMs }) => ({
        labels: { listener, name, key: keyType, source: renewed ? 'acme' : 'files' },
        value: notAfterMs / 1000,
      })),
  ),
  read(
    'causeway_certificate_problems',
    'gauge',
    [],
    'Certificates that could not be read or issued, whatever is used in their place; causeway status says which, and why.',
    ({ facts }) => [{ labels: {}, value: facts.certificateProblems }],
  ),
  read('causeway_workers', 'gauge', ['state'], 'Data threads by state.', ({ facts }) =>
    WORKER_STATES.map(state => ({
      labels: { state },
      value: facts.workers.filter(worker => worker.state === state).length,
    })),
  ),
  read(
    'causeway_worker_restarts_total',
    'counter',
    ['reason'],
    'Data threads that were replaced, by reason.',
    ({ facts }) =>
      RESTART_REASONS.map(reason => ({ labels: { reason }, value: facts.workerRestarts[reason] })),
  ),
  read(
    'causeway_worker_event_loop_lag_seconds',
    'gauge',
    ['worker'],
    'Longest event loop delay of a data thread since its last report.',
    view => perWorker(view, ({ loopLagMs }) => (loopLagMs === undefined ? undefined : loopLagMs / 1000)),
  ),
  read(
    'causeway_worker_event_loop_utilization_ratio',
    'gauge',
    ['worker'],
    'Share of time during which the event loop of a data thread was busy.',
    view => perWorker(view, worker => worker.loopUtilization),
  ),
  read(
    'causeway_overload',
    'gauge',
    ['cause'],
    '1 while requests are refused because a data thread is late or memory is short.',
    ({ shared }) => [
      { labels: { cause: 'loop' }, value: shared.lateThreads() > 0 ? 1 : 0 },
      { labels: { cause: 'memory' }, value: shared.memoryPercent() > 0 ? 1 : 0 },
    ],
  ),
  read(
    'causeway_uncaught_errors_total',
    'counter',
    ['thread', 'kind'],
    'Uncaught exceptions and rejections, including those in deadlines: each one is a bug in Causeway.',
    uncaughtErrors,
  ),
  read(
    'causeway_log_lines_dropped_total',
    'counter',
    ['log'],
    'Log lines lost because the reader of the log was too slow, or because a worker produced excessive output.',
    ({ facts }) => LOG_NAMES.map(log => ({ labels: { log }, value: facts.logLinesDropped[log] })),
  ),
  read('causeway_metrics_series', 'gauge', [], 'Number of series in the previous scrape.', view => [
    { labels: {}, value: view.lastScrape.series },
  ]),
  read('causeway_scrape_duration_seconds', 'gauge', [], 'Duration of the previous scrape.', view => [
    { labels: {}, value: view.lastScrape.seconds },
  ]),
]

function read(
  name: string,
  type: FamilyType,
  labels: readonly string[],
  help: string,
  samples: (view: View) => Sample[],
): Family {
  return { name, type, labels, help, source: { kind: 'read', read: samples } }
}

function perWorker({ facts }: View, gaugeOf: (worker: WorkerFacts) => number | undefined): Sample[] {
  return facts.workers.flatMap(worker => {
    const value = gaugeOf(worker)
    return value === undefined ? [] : [{ labels: { worker: String(worker.thread) }, value }]
  })
}

function uncaughtErrors({ facts }: View): Sample[] {
  return THREAD_KINDS.flatMap(thread =>
    UNCAUGHT_KINDS.map(kind => ({ labels: { thread, kind }, value: facts.uncaught[thread][kind] })),
  )
}
