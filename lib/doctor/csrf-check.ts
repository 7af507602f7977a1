import type { Outcome } from './answer.ts'
import { type Finding, hint, ok, problem } from './finding.ts'
import type { Names } from './names.ts'
import { csrfTokenIn } from './page.ts'
import { PROXY_SSL_HEADER } from './scheme-advice.ts'
import type { CsrfTest, CsrfTrial, Survey } from './survey.ts'

const CHECK = 'csrf'

/** Can the site's own forms be sent, and those of others not? */
export function checkCsrf(test: CsrfTest | undefined, pages: Survey['pages'], names: Names): Finding[] {
  if (test === undefined) return untested(pages)
  const { form, trials } = test
  const own = trials.find(({ from }) => from === 'own')
  if (own === undefined) {
    const what =
      form.kind === 'failure' ? form.reason : `${form.status}, and no form with csrfmiddlewaretoken`
    return [problem(CHECK, form.url, what, 'specify the path of a page with a Django form: --post PATH')]
  }
  if (own.outcome.kind === 'failure') {
    return [problem(CHECK, form.url, own.outcome.reason, 'check the log of the app')]
  }
  if (own.outcome.status === 403) return [refused(form.url, own, trials, names)]
  const stranger = trials.find(({ from }) => from === 'stranger')
  if (form.url.startsWith('https:') && stranger !== undefined && isAccepted(stranger.outcome)) {
    const fix =
      'Django: CsrfViewMiddleware in MIDDLEWARE, no csrf_exempt on this view, and SECURE_PROXY_SSL_HEADER, so that it recognizes https'
    return [problem(CHECK, form.url, `a form from ${stranger.origin} is accepted`, fix)]
  }
  return [ok(CHECK, form.url, `a form from ${own.origin} is accepted (${own.outcome.status})`)]
}

function untested(pages: Survey['pages']): Finding[] {
  const page = pages.find(({ text }) => csrfTokenIn(text) !== undefined)
  if (page === undefined) return []
  const path = new URL(page.url).pathname
  const fix = `--post ${path} submits this form, with nothing but its token`
  return [hint(CHECK, page.url, 'has a form; it was not submitted, so CSRF settings are not tested', fix)]
}

/**
 * Django compares a form's origin with the scheme and Host that it sees: the one that it takes shows what
 * went wrong.
 */
function refused(url: string, own: CsrfTrial, trials: readonly CsrfTrial[], names: Names): Finding {
  const what = `403: a form from its own origin ${own.origin} is refused`
  const takes = (from: CsrfTrial['from']) =>
    trials.some(trial => trial.from === from && isAccepted(trial.outcome))
  if (takes('other-scheme')) {
    const fix = `${PROXY_SSL_HEADER}, and Causeway: listeners.${names.listener}.trusted_proxies = ["<address of the proxy that terminates TLS>"]`
    return problem(CHECK, url, `${what}; the app assumes the other scheme`, fix)
  }
  const trusted = `Django: CSRF_TRUSTED_ORIGINS = ["${own.origin}"]`
  if (takes('no-port')) {
    const fix = `forward the Host field with its port (nginx: proxy_set_header Host $http_host), or ${trusted}`
    return problem(CHECK, url, `${what}; the port does not reach the app`, fix)
  }
  return problem(CHECK, url, what, trusted)
}

function isAccepted(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && outcome.status !== 403 && outcome.status < 500
}
