import type { Clock } from '../base/clock.ts'

interface Appointment {
  readonly atMs: number
  /** Breaks ties: what was planned first happens first, so that a run can be repeated. */
  readonly order: number
  readonly happen: () => void
}

/** Virtual time: it stands still until the next appointment. A binary heap. */
export class Agenda implements Clock {
  readonly #heap: Appointment[] = []
  #nowMs = 0
  #planned = 0

  now(): number {
    return this.#nowMs
  }

  wall(): number {
    return this.#nowMs
  }

  /** Plans something; not before now. */
  at(atMs: number, happen: () => void): void {
    this.#planned += 1
    this.#heap.push({ atMs: Math.max(atMs, this.#nowMs), order: this.#planned, happen })
    this.#rise()
  }

  after(delayMs: number, happen: () => void): void {
    this.at(this.#nowMs + delayMs, happen)
  }

  /** Moves time to the next appointment, and lets it happen. False if there is none. */
  proceed(): boolean {
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (first === undefined || last === undefined) return false
    if (this.#heap.length > 0) {
      this.#heap[0] = last
      this.#sink()
    }
    this.#nowMs = first.atMs
    first.happen()
    return true
  }

  #rise(): void {
    const heap = this.#heap
    let at = heap.length - 1
    const moving = heap[at] as Appointment
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(moving, heap[parent] as Appointment)) break
      heap[at] = heap[parent] as Appointment
      at = parent
    }
    heap[at] = moving
  }

  #sink(): void {
    const heap = this.#heap
    const moving = heap[0] as Appointment
    let at = 0
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, heap[child] as Appointment)) child += 1
      if (!isBefore(heap[child] as Appointment, moving)) break
      heap[at] = heap[child] as Appointment
      at = child
    }
    heap[at] = moving
  }
}

function isBefore(a: Appointment, b: Appointment): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs
}
