import type { Answer, Outcome } from './answer.ts'
import { type Finding, ok, problem } from './finding.ts'

const CHECK = 'debug'
// Django writes it with and without blanks, and the quotation marks around it differ.
const DJANGO = /<code>DEBUG\s*=\s*True<\/code>|#debug"[^>]*>DEBUG\s*=\s*True</
const WERKZEUG = /Werkzeug Debugger|__debugger__=yes/
const TRACEBACK = /Traceback \(most recent call last\)/

/** Does an error page show what only its developers should see? */
export function checkDebug(answers: readonly (Outcome | undefined)[]): Finding[] {
  const seen = answers.filter((answer): answer is Answer => answer?.kind === 'answer')
  for (const { url, text } of seen) {
    if (DJANGO.test(text)) {
      return [problem(CHECK, url, 'shows a debug page, with settings and paths', 'Django: DEBUG = False')]
    }
    if (WERKZEUG.test(text)) {
      return [
        problem(
          CHECK,
          url,
          'shows the Werkzeug debugger, which runs code for anyone',
          'Flask: DEBUG = False',
        ),
      ]
    }
    if (TRACEBACK.test(text)) {
      const fix = "Django: DEBUG = False (or the app server's debug switch: off)"
      return [problem(CHECK, url, 'shows a traceback', fix)]
    }
  }
  return seen.length === 0 ? [] : [ok(CHECK, seen[0]?.url ?? '', 'error pages reveal no internals')]
}
