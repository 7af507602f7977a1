import type { ThreadEnv } from '../base/thread-env.ts'
import type { Exchange, ExchangeOwner } from '../http/exchange.ts'
import type { ByteRange } from '../http/range.ts'
import {
  answerWithoutDisk,
  beginAnswer,
  chooseRepresentation,
  failExchange,
  failForWant,
  needsBody,
  redirect,
  refuseName,
  select,
} from './answer.ts'
import type { FileShelf, ResourceWaiter } from './file-shelf.ts'
import { type InternalAnswer, namesOneForm, overlayOf } from './internal-answer.ts'
import { MemoryTransfer } from './memory-transfer.ts'
import { closeQuietly, type Opened, openInside } from './open-file.ts'
import { Pace } from './pace.ts'
import { Representation } from './representation.ts'
import type { FileResource, Resource } from './resource.ts'
import { endingOf } from './resource-loader.ts'
import { Transfer } from './transfer.ts'

/** What an exchange asks for, and with which words of an app. */
export interface FileRequest {
  /** Request path as the shelf knows it. */
  readonly path: string
  /** undefined for what the client itself asked for. */
  readonly answer: InternalAnswer | undefined
}

/**
 * An exchange that is not answered in one step: not yet in memory, too large for one buffer, or handed over
 * by an app.
 */
export class StaticExchange implements ExchangeOwner, ResourceWaiter {
  readonly #exchange: Exchange
  readonly #shelf: FileShelf
  readonly #env: ThreadEnv
  readonly #asked: FileRequest
  #transfer: Transfer | MemoryTransfer | undefined
  #gone = false
  #lostOnce = false

  /** Takes the exchange over from whoever has it. */
  constructor(exchange: Exchange, shelf: FileShelf, env: ThreadEnv, asked: FileRequest) {
    this.#exchange = exchange
    this.#shelf = shelf
    this.#env = env
    this.#asked = asked
    exchange.attach(this)
  }

  /** Asks the disk what the path stands for. */
  wait(): void {
    this.#shelf.wait(this.#asked.path, this)
  }

  resourceReady(resource: Resource): void {
    if (this.#gone) return
    if (this.#asked.answer !== undefined && resource.kind === 'redirect') {
      refuseName(this.#exchange, 'a folder cannot be sent')
    } else if (this.#asked.answer !== undefined && resource.kind === 'file') {
      this.stream(resource)
    } else if (!answerFromMemory(this.#exchange, resource, this.#shelf) && resource.kind === 'file') {
      this.stream(resource)
    }
  }

  resourceFailed(error: unknown): void {
    if (!this.#gone) failExchange(this.#exchange, error)
  }

  /** Sends a file piece by piece. */
  stream(resource: FileResource): void {
    const chosen = this.#choose(resource)
    if (resource.held) this.#shelf.watch?.servedHeld()
    if (chosen.body === undefined) this.#openFor(resource, chosen)
    else this.#sendFromMemory(chosen, chosen.body)
  }

  answerDrained(): void {
    this.#transfer?.resume()
  }

  clientGone(): void {
    this.#gone = true
    this.#transfer?.stop()
  }

  #choose(resource: FileResource): Representation {
    const { answer } = this.#asked
    if (answer === undefined) return chooseRepresentation(this.#exchange.request, resource, this.#shelf)
    const wallMs = this.#env.clock.wall()
    const overlay = overlayOf(answer, wallMs)
    if (namesOneForm(overlay))
      return new Representation({ ...resource.plain.facts, varies: false, wallMs, overlay })
    const { facts } = chooseRepresentation(this.#exchange.request, resource, this.#shelf)
    return new Representation({ ...facts, wallMs, overlay })
  }

  /** Before the open begins: what comes in the same turn finds the account as it will be. */
  #openFor(resource: FileResource, chosen: Representation): void {
    if (this.#env.descriptors.takeFor(this.#exchange.siblings)) void this.#open(resource, chosen)
    else failForWant(this.#exchange, 'no file descriptor available for a file')
  }

  async #open(resource: FileResource, chosen: Representation): Promise<void> {
    try {
      const opened = await openInside(this.#shelf.site.root, resource.relative + endingOf(chosen.coding))
      this.#sendOpened(opened, chosen)
    } catch (error) {
      this.#env.descriptors.give()
      this.resourceFailed(error)
    }
  }

  #close(fd: number): void {
    closeQuietly(fd)
    this.#env.descriptors.give()
  }

  #sendOpened(opened: Opened, chosen: Representation): void {
    if (opened.kind !== 'file') {
      this.#env.descriptors.give()
      this.#lost()
      return
    }
    if (this.#gone) {
      this.#close(opened.fd)
      return
    }
    // The file may have changed since it was chosen: length and validators are those of what is open now.
    const wallMs = this.#env.clock.wall()
    const representation = new Representation({ ...chosen.facts, stat: opened.stat, body: undefined, wallMs })
    const range = this.#begin(representation)
    if (range === undefined) return this.#close(opened.fd)
    const file = { fd: opened.fd, close: () => this.#close(opened.fd) }
    this.#send(new Transfer(this.#exchange, file, range, this.#pace()))
  }

  #sendFromMemory(representation: Representation, body: Buffer): void {
    const range = this.#begin(representation)
    if (range !== undefined) this.#send(new MemoryTransfer(this.#exchange, body, range, this.#pace()))
  }

  /** Gives the head; the bytes that must follow it, or undefined for an answer that is complete. */
  #begin(representation: Representation): ByteRange | undefined {
    const exchange = this.#exchange
    const selection = select(exchange.request, representation, this.#env.clock)
    beginAnswer(exchange, representation, selection)
    if (needsBody(exchange.request, selection) && representation.length > 0) {
      return typeof selection === 'object' ? selection : { first: 0, last: representation.length - 1 }
    }
    exchange.end()
    return undefined
  }

  #send(transfer: Transfer | MemoryTransfer): void {
    this.#transfer = transfer
    if (this.#gone) transfer.stop()
    else transfer.resume()
  }

  #pace(): Pace | undefined {
    const bytesPerSecond = this.#asked.answer?.bytesPerSecond ?? 0
    return bytesPerSecond > 0 ? new Pace(this.#env, bytesPerSecond) : undefined
  }

  /**
   * What memory said is no longer so: the disk is asked once more, since a deploy may have left the file to
   * the releases that are held.
   */
  #lost(): void {
    this.#shelf.forget(this.#asked.path)
    if (this.#gone) return
    if (this.#lostOnce) this.#exchange.fail('NOT_FOUND', 'removed since it was found')
    else this.wait()
    this.#lostOnce = true
  }
}

/** Answers at once if memory holds all that is needed; else does nothing and says false. Hot. */
export function answerFromMemory(exchange: Exchange, resource: Resource, shelf: FileShelf): boolean {
  switch (resource.kind) {
    case 'missing':
      refuseName(exchange, resource.detail)
      return true
    case 'redirect':
      redirect(exchange, resource.location)
      return true
    case 'file':
      return answerFile(exchange, resource, shelf)
  }
}

function answerFile(exchange: Exchange, resource: FileResource, shelf: FileShelf): boolean {
  const { request } = exchange
  const representation = chooseRepresentation(request, resource, shelf)
  const selection = select(request, representation, shelf.clock)
  if (!answerWithoutDisk(exchange, representation, selection)) return false
  if (resource.held) shelf.watch?.servedHeld()
  return true
}
