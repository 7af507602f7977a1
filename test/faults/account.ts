import type { Noted } from './journal.ts'
import type { Asked } from './load.ts'

/** A time in which an endpoint was broken on purpose. */
export interface Fault {
  readonly endpoint: string
  readonly fromMs: number
  readonly toMs: number
  /** The endpoint's kernel takes requests that its app never reads, so a journal cannot have them all. */
  readonly takesUnread: boolean
}

/** What became of every request of a run. */
export interface Account {
  readonly sent: number
  readonly answered: number
  /** How often each outcome other than a good answer came, by method: `"POST 502"`. */
  readonly failures: Readonly<Record<string, number>>
  readonly failed: number
  readonly failedPosts: number
  /**
   * Failed POSTs that had arrived in the app of a broken endpoint: nobody may send them again (RFC 9110
   * 9.2.2).
   */
  readonly insidePosts: number
  /**
   * Failed POSTs under way while a broken endpoint's kernel took requests that its app did not read: as
   * uncertain.
   */
  readonly unreadPosts: number
  /** All other failures: the proxy's. */
  readonly lost: readonly Asked[]
  /** POSTs that were executed more than once. */
  readonly twice: number
  /** Answered as executed, and was not. */
  readonly unexecuted: number
  /** POSTs that were executed although the client was told of a failure. */
  readonly executedUntold: number
  readonly longestMs: number
}

/** What is known of a run besides what its clients saw. */
export interface Evidence {
  readonly journal: ReadonlyMap<string, Noted>
  readonly faults: readonly Fault[]
  /** Requests of which the proxy itself says that it sent nothing to anybody. */
  readonly unsent: ReadonlySet<string>
}

/** Pure: requests as the clients saw them, against what the apps noted and what was broken when. */
export function accountFor(asked: readonly Asked[], { journal, faults, unsent }: Evidence): Account {
  const failed = asked.filter(({ outcome }) => outcome !== 200)
  const failedPosts = failed.filter(isPost)
  const executions = ({ id }: Asked) => journal.get(id)?.executed ?? 0
  const inside = failedPosts.filter(({ id }) => wasInside(journal.get(id), faults))
  const unread = failedPosts.filter(
    one => !journal.has(one.id) && !unsent.has(one.id) && mayLieUnread(one, faults),
  )
  return {
    sent: asked.length,
    answered: asked.length - failed.length,
    failures: countsOf(failed),
    failed: failed.length,
    failedPosts: failedPosts.length,
    insidePosts: inside.length,
    unreadPosts: unread.length,
    lost: failed.filter(one => !inside.includes(one) && !unread.includes(one)),
    twice: asked.filter(one => isPost(one) && executions(one) > 1).length,
    unexecuted: asked.filter(one => one.outcome === 200 && executions(one) === 0).length,
    executedUntold: failedPosts.filter(one => executions(one) > 0).length,
    longestMs: asked.reduce((longest, { dueMs, endMs }) => Math.max(longest, endMs - dueMs), 0),
  }
}

/** One line of all that matters. */
export function lineOf(account: Account): string {
  const failures = Object.entries(account.failures).map(([what, count]) => `${count} x ${what}`)
  return [
    `${account.answered} of ${account.sent} answered`,
    `failed: ${failures.join(', ') || 'none'}`,
    `lost ${account.lost.length}`,
    `POST inside a broken app ${account.insidePosts}, unread by it ${account.unreadPosts}`,
    `twice ${account.twice}`,
    `unexecuted ${account.unexecuted}`,
    `executed but told otherwise ${account.executedUntold}`,
    `longest ${Math.round(account.longestMs)} ms`,
  ].join('; ')
}

const isPost = ({ method }: Asked) => method === 'POST'

/** The last endpoint that saw it was one that broke. */
function wasInside(noted: Noted | undefined, faults: readonly Fault[]): boolean {
  const last = noted?.arrivedAt.at(-1)
  return last !== undefined && faults.some(({ endpoint }) => endpoint === last)
}

function mayLieUnread({ dueMs, endMs }: Asked, faults: readonly Fault[]): boolean {
  return faults.some(({ takesUnread, fromMs, toMs }) => takesUnread && dueMs <= toMs && endMs >= fromMs)
}

function countsOf(failed: readonly Asked[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { method, outcome } of failed) {
    const what = `${method} ${outcome}`
    counts[what] = (counts[what] ?? 0) + 1
  }
  return counts
}
