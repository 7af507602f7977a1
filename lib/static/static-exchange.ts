import type { Clock } from '../base/clock.ts'
import type { Exchange, ExchangeOwner } from '../http/exchange.ts'
import {
  answerWithoutDisk,
  beginAnswer,
  chooseRepresentation,
  failExchange,
  needsBody,
  redirect,
  refuseName,
  select,
} from './answer.ts'
import type { FileShelf, ResourceWaiter } from './file-shelf.ts'
import { closeQuietly, type Opened, openInside } from './open-file.ts'
import { Representation } from './representation.ts'
import type { FileResource, Resource } from './resource.ts'
import { endingOf } from './resource-loader.ts'
import { Transfer } from './transfer.ts'

/** An exchange that has to wait for the disk: not yet in memory, or too large for it. */
export class StaticExchange implements ExchangeOwner, ResourceWaiter {
  readonly #exchange: Exchange
  readonly #shelf: FileShelf
  readonly #clock: Clock
  #transfer: Transfer | undefined
  #gone = false

  constructor(exchange: Exchange, shelf: FileShelf, clock: Clock) {
    this.#exchange = exchange
    this.#shelf = shelf
    this.#clock = clock
    exchange.attach(this)
  }

  /** Asks the disk what the path stands for. */
  wait(): void {
    this.#shelf.wait(this.#exchange.request.path, this)
  }

  resourceReady(resource: Resource): void {
    if (this.#gone || answerFromMemory(this.#exchange, resource, this.#clock)) return
    if (resource.kind === 'file') this.stream(resource)
  }

  resourceFailed(error: unknown): void {
    if (!this.#gone) failExchange(this.#exchange, error)
  }

  /** Sends a file that is not held in memory. */
  stream(resource: FileResource): void {
    void this.#open(resource)
  }

  answerDrained(): void {
    this.#transfer?.resume()
  }

  clientGone(): void {
    this.#gone = true
    this.#transfer?.stop()
  }

  async #open(resource: FileResource): Promise<void> {
    const chosen = chooseRepresentation(this.#exchange.request, resource)
    try {
      const opened = await openInside(this.#shelf.site.root, resource.relative + endingOf(chosen.coding))
      this.#send(opened, resource, chosen)
    } catch (error) {
      this.resourceFailed(error)
    }
  }

  #send(opened: Opened, resource: FileResource, chosen: Representation): void {
    if (opened.kind !== 'file') {
      this.#lost()
      return
    }
    if (this.#gone) {
      closeQuietly(opened.fd)
      return
    }
    // The file may have changed since it was chosen: length and validators are those of what is open now.
    const representation = new Representation({
      stat: opened.stat,
      mediaType: resource.mediaType,
      coding: chosen.coding,
      varies: resource.coded.length > 0,
      body: undefined,
      wallMs: this.#clock.wall(),
    })
    this.#sendOpen(opened.fd, representation)
  }

  #sendOpen(fd: number, representation: Representation): void {
    const exchange = this.#exchange
    const selection = select(exchange.request, representation, this.#clock)
    beginAnswer(exchange, representation, selection)
    if (!needsBody(exchange.request, selection) || representation.length === 0) {
      closeQuietly(fd)
      exchange.end()
      return
    }
    const range = typeof selection === 'object' ? selection : { first: 0, last: representation.length - 1 }
    this.#transfer = new Transfer(exchange, fd, range)
    if (this.#gone) this.#transfer.stop()
    else this.#transfer.resume()
  }

  #lost(): void {
    const { request } = this.#exchange
    this.#shelf.forget(request.path)
    if (!this.#gone) this.#exchange.fail('NOT_FOUND', 'gone since it was found')
  }
}

/** Answers at once if memory holds all that is needed; else does nothing and says false. Hot. */
export function answerFromMemory(exchange: Exchange, resource: Resource, clock: Clock): boolean {
  switch (resource.kind) {
    case 'missing':
      refuseName(exchange, resource.detail)
      return true
    case 'redirect':
      redirect(exchange, resource.location)
      return true
    case 'file':
      return answerFile(exchange, resource, clock)
  }
}

function answerFile(exchange: Exchange, resource: FileResource, clock: Clock): boolean {
  const { request } = exchange
  const representation = chooseRepresentation(request, resource)
  const selection = select(request, representation, clock)
  return answerWithoutDisk(exchange, representation, selection)
}
