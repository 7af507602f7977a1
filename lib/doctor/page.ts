/** What the checks need of a page's HTML. Not a parser of HTML: it finds what templates of apps write. */

const TAG = /<(link|script)\b([^>]*)>/gi
const TOKEN = /<input\b[^>]*\bname=["']?csrfmiddlewaretoken["']?[^>]*>/i

/** Absolute URLs of the style sheets and scripts of the page's own site, each once, in their order. */
export function assetsIn(html: string, pageUrl: string): string[] {
  const found = new Set<string>()
  for (const [, tag = '', attributes = ''] of html.matchAll(TAG)) {
    const url = tag.toLowerCase() === 'link' ? styleSheet(attributes) : attribute(attributes, 'src')
    if (url === undefined || !URL.canParse(url, pageUrl)) continue
    const absolute = new URL(url, pageUrl)
    absolute.hash = ''
    if (absolute.host === new URL(pageUrl).host) found.add(absolute.href)
  }
  return [...found]
}

/** The token of a Django form; undefined if there is no such form. */
export function csrfTokenIn(html: string): string | undefined {
  const [input] = TOKEN.exec(html) ?? []
  return input === undefined ? undefined : attribute(input, 'value')
}

function styleSheet(attributes: string): string | undefined {
  const kinds = attribute(attributes, 'rel')?.toLowerCase().split(/\s+/) ?? []
  return kinds.includes('stylesheet') ? attribute(attributes, 'href') : undefined
}

function attribute(text: string, name: string): string | undefined {
  const [, double, single, bare] =
    new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(text) ?? []
  return (double ?? single ?? bare)?.replaceAll('&amp;', '&')
}
