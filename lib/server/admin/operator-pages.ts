import type { Scrape } from '../../../metrics/scrape.ts'
import type { Snapshot } from '../../config/model.ts'
import type { ReloadResult } from '../rollout/reloads.ts'
import type { AdminPages } from './admin.ts'
import { maskedConfig } from './masked-config.ts'
import type { Overview } from './overview.ts'
import type { StatusDocument } from './status.ts'
import { statusPage } from './status-page.ts'
import type { UpstreamRequest } from './upstream-request.ts'
import type { VerbAnswer, Verbs } from './verbs.ts'

/** Who knows what the pages show. Functions, because some are made after the listener that shows them. */
export interface OperatorPagesParts {
  readonly scrape: Scrape
  readonly verbs: Verbs
  overview(): Overview
  phase(): StatusDocument['phase']
  snapshot(): Snapshot
  reload(): Promise<ReloadResult>
}

/** What operators and their machines see of the process, and what they may tell it. */
export class OperatorPages implements AdminPages {
  readonly #parts: OperatorPagesParts

  constructor(parts: OperatorPagesParts) {
    this.#parts = parts
  }

  ready(): boolean {
    return this.#parts.phase() === 'ready'
  }

  async metrics(): Promise<{ readonly type: string; readonly text: string }> {
    const { scrape } = this.#parts
    return { type: scrape.contentType, text: await scrape.text() }
  }

  status(): StatusDocument {
    return this.#parts.overview().document(this.#parts.phase())
  }

  config(): object {
    return maskedConfig(this.#parts.snapshot())
  }

  page(): { readonly html: string; readonly styleHash: string } {
    return statusPage(this.status())
  }

  reload(): Promise<ReloadResult> {
    return this.#parts.reload()
  }

  async upstreams(request: UpstreamRequest): Promise<VerbAnswer> {
    if (request.kind === 'list') return { status: 200, body: { upstreams: this.status().upstreams } }
    return this.#parts.verbs.answer(request)
  }
}
