import type { Test } from 'tap'
import { loadConfig } from '../../lib/config/load.ts'
import type { Snapshot } from '../../lib/config/model.ts'
import type { Answer, Failure } from '../../lib/doctor/answer.ts'
import type { Finding } from '../../lib/doctor/finding.ts'

export const SITE = 'https://www.example.com/'

export type Fields = Readonly<Record<string, string>>

export function answer(url: string, status = 200, fields: Fields = {}, text = ''): Answer {
  const lists = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, [value]]))
  return { kind: 'answer', url, status, fields: lists, text, reused: false, peer: '192.0.2.1:443' }
}

export const moved = (url: string, location: string) => answer(url, 301, { location })
export const failed = (url: string, code: string): Failure => ({ kind: 'failure', url, code, reason: code })
export const page = (text = '', fields: Fields = {}) =>
  answer(SITE, 200, { 'content-type': 'text/html', ...fields }, text)

/** `problem: fix` of each finding that is not ok. */
export const saidBy = (findings: readonly Finding[]) =>
  findings.filter(({ level }) => level !== 'ok').map(({ level, fix }) => `${level}: ${fix}`)

export async function snapshotOf(t: Pick<Test, 'testdir'>, toml: string): Promise<Snapshot> {
  const loaded = await loadConfig(t.testdir({ 'a.toml': toml }), {})
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.snapshot
}

export const CONFIG = (upstream = '', rest = '') => `
[listeners.web]
address = "127.0.0.1:8080"
[upstreams.app]
endpoints = ["127.0.0.1:8000"]
${upstream}
[routes.app]
hosts = ["*.example.org", "www.example.com"]
upstream = "app"
${rest}`
