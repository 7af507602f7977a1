/**
 * A kind of things that a `Kept` holds, each with a key of its own. `name` is for whoever looks at it in a
 * debugger.
 */
export class KeptKind<T extends object> {
  readonly name: string
  /** Never set: ties the kind to the type of its things. */
  declare readonly holds: T

  constructor(name: string) {
    this.name = name
  }
}

/**
 * State that outlives the snapshot it was made for: what the next snapshot asks for under the same key is the
 * same thing. It lasts as long as somebody else holds it, so what no snapshot uses any more is left to the
 * garbage collector. One for a data thread.
 */
export class Kept {
  readonly #kinds = new Map<KeptKind<object>, Map<string, WeakRef<object>>>()

  /** The thing under this key, made if there is none. */
  get<T extends object>(kind: KeptKind<T>, key: string, make: () => T): T {
    const held = this.#heldOf(kind)
    const known = held.get(key)?.deref()
    // Under a kind there are only things that its own callers have made.
    if (known !== undefined) return known as T
    for (const [old, reference] of held) if (reference.deref() === undefined) held.delete(old)
    const made = make()
    held.set(key, new WeakRef(made))
    return made
  }

  *values<T extends object>(kind: KeptKind<T>): Iterable<T> {
    for (const reference of this.#heldOf(kind).values()) {
      const held = reference.deref()
      if (held !== undefined) yield held as T
    }
  }

  #heldOf(kind: KeptKind<object>): Map<string, WeakRef<object>> {
    const known = this.#kinds.get(kind)
    if (known !== undefined) return known
    const held = new Map<string, WeakRef<object>>()
    this.#kinds.set(kind, held)
    return held
  }
}
