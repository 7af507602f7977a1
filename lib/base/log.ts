import { type Logger as PinoLogger, pino } from 'pino'

/** The daemon's log. Access lines do not go through it (lib/front/access/access.ts). */
export type Logger = PinoLogger
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** Takes whole lines: a LogDestination, or a test. */
export interface LineSink {
  write(line: string): void
}

/** JSON lines: level as a word, ISO time, then what the call says, `msg` last. An error goes in as `err`. */
export function createLogger(level: LogLevel, sink: LineSink): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { err: error => describeError(error) },
    },
    sink,
  )
}

/**
 * What a log line says about an error. No other property of it: some libraries hang whole requests on their
 * errors.
 */
export interface ErrorText {
  readonly type: string
  readonly code?: string
  readonly message: string
  readonly stack?: string
  readonly cause?: ErrorText
}

/** Causes are followed this far. */
const MAX_DEPTH = 4

/** Anything that was thrown, as plain text fields. */
function describeError(error: unknown, depth = 1): ErrorText {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) }
  const { name, message, stack, cause } = error
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  const trace = stack === undefined ? {} : { stack }
  const deeper = cause !== undefined && depth < MAX_DEPTH ? { cause: describeError(cause, depth + 1) } : {}
  return { type: name, ...code, message, ...trace, ...deeper }
}
