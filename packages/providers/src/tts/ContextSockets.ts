import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { Pull, Scope } from "effect"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import type { Failures } from "../hosted/Failures.ts"
import { boundedPull } from "../hosted/ServerEvents.ts"
import type { VendorClosed, VendorSocketOptions } from "../hosted/VendorSocket.ts"
import { openVendorSocket } from "../hosted/VendorSocket.ts"

/** Messages of one call that wait to be taken; far more than its text can make. */
export const maxMessages = 16_384

/** Characters of all messages of one call: ten minutes of sound in base64. */
export const maxMessageChars = 32_000_000

/** Messages that wait to be sent on one connection. */
export const maxOutbox = 1_024

/** How long a vendor may take to end a call that was cancelled, ms; its connection is not used for others after that. */
export const finalWithinMs = 5_000

/** What a message of the vendor means. */
export interface ContextMessage<A> {
  /** The call that it is for; undefined: all that are on the connection. */
  readonly context: string | undefined
  /** Something for the call. */
  readonly value?: A
  /** The call has come to its regular end. */
  readonly last?: boolean
  /** The call has failed, or with no call named the connection. */
  readonly failure?: ProviderFailure
}

export interface ContextSocketsOptions<A> extends Omit<VendorSocketOptions, "failures"> {
  readonly failures: Failures
  /** Most connections that are used at a time. */
  readonly connections: number
  /** Most calls on one connection at a time. */
  readonly contexts: number
  /** The longest silence in the middle of a call, ms. */
  readonly stallMs: number
  /** How long a connection without a call stays open, ms. */
  readonly idleMs: number
  /** What a message means; undefined when it is not the vendor's protocol. */
  readonly read: (message: string) => ContextMessage<A> | undefined
  /** The message that ends a call. */
  readonly cancel: (context: string) => string
  /** What it means that the vendor closed the connection. */
  readonly closed: (closed: VendorClosed) => ProviderFailure
  /** A cancelled call counts as one on its connection until the vendor has said its last word on it. */
  readonly countsUntilLast: boolean
}

/** Calls over shared connections. */
export interface ContextSockets<A> {
  /**
   * Starts a call with these messages and gives what comes for it, to its regular end.
   *
   * Interrupting it cancels the call at the vendor, and drops what still comes for it; the connection stays for others.
   */
  readonly call: (messages: (context: string) => ReadonlyArray<string>) => Stream.Stream<A, ProviderFailure>
  /** Connections now, those that are being opened included. */
  readonly connections: () => number
  /** Messages that came for calls that nobody waits for any more. */
  readonly dropped: () => number
}

interface Mailbox<A> {
  readonly context: string
  readonly queue: Queue.Queue<A, ProviderFailure | Cause.Done>
  chars: number
  /** Its first message was handed over. */
  asked: boolean
  /** When, on the machine's own clock (ms). */
  askedMs: number
  /** The vendor has said its last word, good or bad. */
  over: boolean
  /** It was the regular end. */
  complete: boolean
}

interface Connection<A> {
  readonly name: string
  /** Calls whose fiber is here. */
  readonly live: Map<string, Mailbox<A>>
  /** Calls that were cancelled and that the vendor has not ended, since when (ms). */
  readonly leaving: Map<string, number>
  readonly outbox: Queue.Queue<string>
  readonly opened: Deferred.Deferred<void, ProviderFailure>
  calls: number
  isOpen: boolean
  /** When something came last, on the machine's own clock (ms). */
  heardMs: number
  retired: boolean
  fiber: Fiber.Fiber<void> | undefined
  idle: Fiber.Fiber<void> | undefined
}

/** A call that waits for room; it keeps its turn until it has some, or gives up. */
interface Waiter {
  /** Done when it is to look again. */
  free: Deferred.Deferred<void>
}

/**
 * A bounded pool of connections of a vendor that speaks several calls over one (I-CONTEXTS).
 *
 * - A connection opens with the first call that needs it, and closes `idleMs` after its last; all close with the scope.
 * - A call that is interrupted sends the vendor's cancel and leaves at once; what still comes for it is dropped and counted.
 * - A connection that breaks fails the calls on it; the next call gets a new one. So it does after a connection on which
 *   nothing at all came for `connectMs` to a call that was then given up.
 * - A call that finds everything in use waits for up to `connectMs`, then fails as `overload`, retryable. Calls that wait
 *   have their turn in the order in which they came: room wakes the first of them, and none overtakes it.
 * - No message is read by more than one fiber, and none waits without a bound: {@link maxMessages},
 *   {@link maxMessageChars}, {@link maxOutbox}.
 */
export const makeContextSockets = <A>(
  options: ContextSocketsOptions<A>
): Effect.Effect<ContextSockets<A>, never, Scope.Scope | Socket.WebSocketConstructor> =>
  Effect.gen(function*() {
    const { failures } = options
    const full = failures.of("overload", true, "all connections of the voice are in use")
    const unusable = failures.of("infrastructure_failure", false, "no connection can be made with the voice's settings")
    const tooMuch = failures.of("infrastructure_failure", false, "more came for a segment than a segment can hold")
    // Connections outlive the calls that open them: they run apart from the fibers, and clocks, of calls.
    const services = yield* Effect.context<Socket.WebSocketConstructor>()
    const run = Effect.runForkWith(services)
    const runSync = Effect.runSyncWith(services)
    const connections = new Set<Connection<A>>()
    const waiting = new Set<Waiter>()
    let dropped = 0

    /** The first that waits looks for room; it wakes the next one when it has some, or gives up. */
    const slotFree = (): void => {
      const [first] = waiting
      if (first !== undefined) Deferred.doneUnsafe(first.free, Effect.void)
    }

    /** Hands a message to its call; gives the failure that ends the connection, if it does. */
    const deliver = (connection: Connection<A>, frame: string | Uint8Array): ProviderFailure | undefined => {
      const message = typeof frame === "string" ? options.read(frame) : undefined
      if (message === undefined) return failures.malformed
      if (message.context === undefined) return message.failure
      const mailbox = connection.live.get(message.context)
      if (mailbox === undefined || mailbox.over) {
        dropped++
        if ((message.last === true || message.failure !== undefined) && connection.leaving.delete(message.context)) {
          slotFree()
        }
        return undefined
      }
      mailbox.chars += frame.length
      if (message.value !== undefined) {
        const taken = mailbox.chars <= maxMessageChars && Queue.offerUnsafe(mailbox.queue, message.value)
        if (!taken) Queue.failCauseUnsafe(mailbox.queue, Cause.fail(tooMuch))
      }
      if (message.failure !== undefined) {
        mailbox.over = true
        Queue.failCauseUnsafe(mailbox.queue, Cause.fail(message.failure))
      } else if (message.last === true) {
        mailbox.over = mailbox.complete = true
        Queue.endUnsafe(mailbox.queue)
      }
      return undefined
    }

    const converse = (connection: Connection<A>): Effect.Effect<never, ProviderFailure, Socket.WebSocketConstructor> =>
      Effect.scoped(
        Effect.gen(function*() {
          const socket = yield* openVendorSocket(options)
          connection.isOpen = true
          Deferred.doneUnsafe(connection.opened, Effect.void)
          const write = Effect.flatMap(Queue.takeAll(connection.outbox), (messages) =>
            Effect.forEach(messages, socket.send, { discard: true }))
          const read = Effect.flatMap(
            Effect.mapError(socket.receive, (end) =>
              end._tag === "VendorClosed" ? options.closed(end) : end),
            (frames) => {
              connection.heardMs = performance.now()
              for (const frame of frames) {
                const failure = deliver(connection, frame)
                if (failure !== undefined) return Effect.fail(failure)
              }
              return Effect.void
            }
          )
          return yield* Effect.raceFirst(
            Effect.forever(write, { disableYield: true }),
            Effect.forever(read, { disableYield: true })
          )
        })
      )

    /** It is over: whoever is on it fails, and it is used no more. */
    const forget = (connection: Connection<A>, failure: ProviderFailure): void => {
      connections.delete(connection)
      Deferred.doneUnsafe(connection.opened, Effect.fail(failure))
      for (const { over, queue } of connection.live.values()) {
        if (!over) Queue.failCauseUnsafe(queue, Cause.fail(failure))
      }
      slotFree()
    }

    const close = (connection: Connection<A>): void => {
      connections.delete(connection)
      // Not at once: whoever is woken by it would look for room while somebody else does.
      if (connection.fiber !== undefined) run(Effect.andThen(Effect.yieldNow, Fiber.interrupt(connection.fiber)))
    }

    const connect = (): Connection<A> => {
      const connection: Connection<A> = {
        name: randomUUID(),
        live: new Map(),
        leaving: new Map(),
        outbox: runSync(Queue.dropping<string>(maxOutbox)),
        opened: Deferred.makeUnsafe(),
        calls: 0,
        isOpen: false,
        heardMs: 0,
        retired: false,
        fiber: undefined,
        idle: undefined
      }
      connections.add(connection)
      connection.fiber = run(
        converse(connection).pipe(
          Effect.matchEffect({
            onFailure: (failure) => Effect.sync(() => forget(connection, failure)),
            onSuccess: () => Effect.void
          }),
          // A key that no header can hold, for instance: the WebSocket throws.
          Effect.catchCause(() => Effect.sync(() => forget(connection, unusable))),
          Effect.onInterrupt(() => Effect.sync(() => forget(connection, failures.broken)))
        )
      )
      return connection
    }

    /** A connection with room for one more call, opened if that is allowed. */
    const withRoom = (now: number): Connection<A> | undefined => {
      let best: Connection<A> | undefined
      let used = 0
      for (const connection of connections) {
        const [oldest = now] = connection.leaving.values()
        if (now - oldest > finalWithinMs) connection.retired = true
        const isFull = connection.live.size + connection.leaving.size >= options.contexts
        // Nobody is on it but calls that the vendor does not end.
        if (connection.live.size === 0 && (connection.retired || isFull)) {
          close(connection)
          continue
        }
        if (connection.retired) continue
        used++
        if (!isFull && (best === undefined || connection.live.size < best.live.size)) best = connection
      }
      return best ?? (used < options.connections ? connect() : undefined)
    }

    const enter = (connection: Connection<A>): Mailbox<A> => {
      if (connection.idle !== undefined) run(Fiber.interrupt(connection.idle))
      connection.idle = undefined
      const mailbox: Mailbox<A> = {
        context: `${connection.name}-${++connection.calls}`,
        queue: runSync(Queue.dropping<A, ProviderFailure | Cause.Done>(maxMessages)),
        chars: 0,
        asked: false,
        askedMs: 0,
        over: false,
        complete: false
      }
      connection.live.set(mailbox.context, mailbox)
      return mailbox
    }

    const leave = (
      connection: Connection<A>,
      { asked, askedMs, context, over, queue }: Mailbox<A>,
      now: number
    ): void => {
      connection.live.delete(context)
      Queue.shutdownUnsafe(queue)
      if (!connections.has(connection)) return
      if (asked && !over) {
        // The network may have lost it without a word; a new one is made sooner than TCP finds out.
        if (performance.now() - Math.max(askedMs, connection.heardMs) >= options.connectMs) connection.retired = true
        if (options.countsUntilLast) connection.leaving.set(context, now)
        if (!Queue.offerUnsafe(connection.outbox, options.cancel(context))) return close(connection)
      }
      if (connection.live.size === 0) {
        if (!connection.isOpen || connection.retired) return close(connection)
        connection.idle = run(Effect.andThen(Effect.sleep(options.idleMs), Effect.sync(() => close(connection))))
      }
      slotFree()
    }

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const fibers = [...connections].flatMap(({ fiber, idle }) => [fiber, idle]).filter((one) => one !== undefined)
        return Fiber.interruptAll(fibers)
      })
    )

    const entered = (now: number) => {
      const connection = withRoom(now)
      return connection === undefined ? undefined : { connection, mailbox: enter(connection) }
    }

    /** Waits for its turn and for room, until `deadline`. */
    const inTurn = (began: number, restore: <B, E>(effect: Effect.Effect<B, E>) => Effect.Effect<B, E>) =>
      Effect.suspend(() => {
        const deadline = began + options.connectMs
        const waiter: Waiter = { free: Deferred.makeUnsafe() }
        waiting.add(waiter)
        // Time alone may have made room: a connection whose calls the vendor does not end is left.
        if (waiting.size > 1) slotFree()
        return Effect.gen(function*() {
          for (let now = began;;) {
            yield* restore(
              Effect.timeoutOrElse(measured(Deferred.await(waiter.free)), {
                duration: Math.max(0, deadline - now),
                orElse: () => Effect.fail(full)
              })
            )
            // Anew before it looks: what comes free after that is not missed.
            waiter.free = Deferred.makeUnsafe()
            now = yield* Clock.currentTimeMillis
            const found = entered(now)
            if (found !== undefined) return found
          }
        }).pipe(Effect.ensuring(Effect.sync(() => {
          waiting.delete(waiter)
          slotFree()
        })))
      })

    /** A place on a connection, for as long as the scope. */
    const place = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const began = yield* Clock.currentTimeMillis
        const found = (waiting.size === 0 ? entered(began) : undefined) ?? (yield* inTurn(began, restore))
        const { connection, mailbox } = found
        yield* Effect.addFinalizer(() => Effect.map(Clock.currentTimeMillis, (now) => leave(connection, mailbox, now)))
        return found
      })
    )

    return {
      connections: () => connections.size,
      dropped: () => dropped,
      call: (messages) =>
        Stream.unwrap(
          Effect.gen(function*() {
            const { connection, mailbox } = yield* place
            yield* measured(Deferred.await(connection.opened))
            mailbox.asked = true
            mailbox.askedMs = performance.now()
            for (const message of messages(mailbox.context)) {
              if (!Queue.offerUnsafe(connection.outbox, message)) return Stream.fail(full)
            }
            const pull: Pull.Pull<readonly [A, ...Array<A>], ProviderFailure> = Queue.takeAll(mailbox.queue)
            return Stream.fromPull(Effect.succeed(boundedPull(pull, failures, options.stallMs, () => mailbox.complete)))
          })
        )
    }
  })
