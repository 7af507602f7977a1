import type { Account } from '../../faults/account.ts'

/** One scene through one proxy. */
export interface Row {
  readonly scene: string
  readonly proxy: string
  /** Undefined where it could not be played; then `why` says so. */
  readonly account?: Account
  readonly why?: string
}

const HEAD = ['scene', 'proxy', 'sent', 'lost', 'of them POST', 'POST in broken app', 'POST twice', 'longest']

/** All rows as one Markdown table. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ scene, proxy, account, why = '' }) =>
    account === undefined ? [scene, proxy, why] : [scene, proxy, ...cellsOf(account)],
  )
  const cells = [HEAD, HEAD.map(() => '---'), ...lines]
  const widths = HEAD.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  return cells
    .map(row => `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |\n`)
    .join('')
}

/**
 * Whether the first request that a broken endpoint gets is a GET or a POST is chance; so are so few of them.
 */
const BY_CHANCE = 2

/**
 * Rows on which some peer loses less than Causeway, does less twice, or lets fewer POSTs run into a broken
 * app.
 */
export function behind(rows: readonly Row[]): readonly string[] {
  return rows.flatMap(own => {
    if (own.proxy !== 'causeway') return []
    const { account } = own
    const peers = rows.filter(row => row.scene === own.scene && row.proxy !== 'causeway')
    if (account === undefined) return [`${own.scene}: ${own.why}`]
    return peers
      .filter(peer => peer.account !== undefined && isAhead(peer.account, account))
      .map(peer => `${own.scene}: ${peer.proxy}`)
  })
}

function isAhead(peer: Account, own: Account): boolean {
  if (peer.lost.length < own.lost.length || peer.twice < own.twice) return true
  return uncertain(peer) + BY_CHANCE < uncertain(own)
}

const uncertain = ({ insidePosts, unreadPosts }: Account) => insidePosts + unreadPosts

function cellsOf(account: Account): readonly string[] {
  const { sent, lost, twice, longestMs } = account
  const posts = lost.filter(({ method }) => method === 'POST').length
  const numbers = [sent, lost.length, posts, uncertain(account), twice]
  return [...numbers.map(String), `${(longestMs / 1000).toFixed(2)} s`]
}
