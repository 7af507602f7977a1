/** What the app saw of a run. */
export interface AppReport {
  /** Requests that it executed, each once or more often. */
  readonly executed: number
  readonly postsTwice: number
  readonly connections: number
  /** Requests that came on a connection shortly before it would have been closed. */
  readonly nearInTime: number
  /** Requests that came on a connection that had just been closed. */
  readonly tooLate: number
}
