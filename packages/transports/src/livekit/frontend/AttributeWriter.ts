import { named } from "@rspp/runtime/determinism/FiberName"
import { Bell } from "@rspp/runtime/events/Bell"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"

/** How long the server may take to show what was written, ms: on a local network it takes 10, across the world 500. */
export const shownWithinMs = 2000

/** Where an attribute is kept. */
export interface AttributePlace {
  /**
   * Asks for the value to be kept. That it resolves does not say that it was: rtc-node hides a refusal. And it may resolve
   * late: an answer that comes before the client listens for it is lost to it, and it waits for 5 s (`set_attributes` of
   * rust-sdks' local_participant.rs sends first).
   */
  readonly write: (value: string) => Promise<void>
  /** The value that the server shows to everybody. */
  readonly shown: () => string | undefined
}

/**
 * Keeps one participant attribute at the newest of the values that it is given.
 *
 * {@link set} is synchronous and never waits. Values that come while a call is under way make one: only the last of them
 * is written. A call is under way until it is answered, or the server shows what it wrote. A value is written when the server shows it; what it does not show within {@link shownWithinMs}, or
 * refuses, is tried once more, with the newest value then, and the failure is logged, once in a row.
 *
 * Guarantees: I-FRONT-LAST the last value is not lost: it is what is written last; I-FRONT-ALONE calls do not overlap.
 */
export class AttributeWriter {
  readonly #name: string
  #wanted: string
  #bell: Bell | undefined
  /** To be written although it was already: the server may have forgotten it. */
  #anew = true
  #warned = false

  constructor(name: string, first: string) {
    this.#name = name
    this.#wanted = first
  }

  set(value: string): void {
    if (value === this.#wanted) return
    this.#wanted = value
    this.#bell?.ring()
  }

  /** The server may have forgotten the value: it is written again. */
  again(): void {
    this.#anew = true
    this.#bell?.ring()
  }

  /** What the server shows may have changed. */
  look(): void {
    this.#bell?.ring()
  }

  /** Writes from now on, for as long as the scope, in a fiber of its own. */
  start(place: AttributePlace): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const bell = yield* Bell.make
      this.#bell = bell
      yield* Effect.forkScoped(named(`attribute ${this.#name}`)(this.#run(place, bell)))
    })
  }

  #run(place: AttributePlace, bell: Bell): Effect.Effect<never> {
    return Effect.gen({ self: this }, function*() {
      let written: string | undefined
      for (;;) {
        while (!this.#anew && this.#wanted === written) yield* bell.wait
        this.#anew = false
        for (let attempt = 1; attempt <= 2; attempt++) {
          written = this.#wanted
          const failure = yield* this.#write(place, bell, written)
          if (failure === undefined) {
            this.#warned = false
            break
          }
          if (this.#warned) continue
          this.#warned = true
          yield* Effect.logWarning(`${this.#name} could not be set to "${written}": ${failure}`)
        }
      }
    })
  }

  /** Why the value is not there; undefined when it is, or when a newer one is wanted by now. */
  #write(place: AttributePlace, bell: Bell, value: string): Effect.Effect<string | undefined> {
    return Effect.gen({ self: this }, function*() {
      const before = place.shown()
      const answer = Effect.tryPromise({
        try: () => place.write(value),
        catch: (cause) => cause instanceof Error ? cause.message : "the call failed"
      }).pipe(Effect.match({ onSuccess: () => undefined, onFailure: (message) => message }))
      const shown = Effect.gen({ self: this }, function*() {
        while (place.shown() !== value && this.#wanted === value && !this.#anew) yield* bell.wait
      })
      // What the server shows it has taken, whether or not the client has heard its answer.
      const taken = Effect.gen(function*() {
        while (place.shown() !== value) yield* bell.wait
        return undefined
      })
      const refused = yield* before === value ? answer : Effect.raceFirst(answer, taken)
      if (refused !== undefined) return refused
      const seen = yield* Effect.timeoutOption(shown, shownWithinMs)
      return seen._tag === "Some"
        ? undefined
        : `the server does not show it after ${shownWithinMs} ms; the token must allow canUpdateOwnMetadata`
    })
  }
}
