import { type Answer, isHtml } from './answer.ts'
import { type Finding, problem } from './finding.ts'
import type { Names } from './names.ts'
import { schemeAdvice } from './scheme-advice.ts'

const CHECK = 'links'
const LINK = /\b(?:href|src|action)\s*=\s*["']?(http:\/\/[^"'\s>]+)/gi

/**
 * Do pages that came over https lead back to plain http on the same site? Then the app takes its clients for
 * clients of plain http.
 */
export function checkLinks(pages: readonly Answer[], { snapshot }: Names): Finding[] {
  for (const page of pages) {
    const link = page.url.startsWith('https:') && isHtml(page) ? plainLinkIn(page) : undefined
    if (link === undefined) continue
    const what = `links to ${link}: the app treats the request as plain http, and browsers block content from such links`
    return [problem(CHECK, page.url, what, schemeAdvice(snapshot))]
  }
  return []
}

function plainLinkIn({ url, text }: Answer): string | undefined {
  const { hostname } = new URL(url)
  for (const [, link = ''] of text.matchAll(LINK))
    if (URL.canParse(link) && new URL(link).hostname === hostname) return link
  return undefined
}
