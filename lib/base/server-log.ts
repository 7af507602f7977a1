/** The part of pino that the server writes its log with: flat fields, then the event in a few fixed words. */
export interface ServerLog {
  debug(fields: object, event: string): void
  info(fields: object, event: string): void
  warn(fields: object, event: string): void
  error(fields: object, event: string): void
  fatal(fields: object, event: string): void
}
