import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { Transport, TransportFailure } from "@rspp/runtime/ports/Transport"
import type { TransportIngress } from "@rspp/runtime/ports/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Episode } from "../Faults.ts"
import type { WorldTimer } from "../TimerQueue.ts"
import { Pipe } from "./Pipe.ts"
import type { SimCall } from "./SimCall.ts"
import { SimCaller } from "./SimCaller.ts"
import { SimOutput } from "./SimOutput.ts"
import { soundOf } from "./SpeechBook.ts"

/** Frames that a stalled connection may give back in one burst when it goes on: 5 s. */
const heldFrames = 250

/** The microphone hears the agent this much later, in frames. */
const echoFrames = 8

/** The line between one caller and one session. */
class Line {
  readonly output: SimOutput
  readonly #call: SimCall
  readonly #caller: SimCaller
  readonly #frameNs: number
  readonly #timers = new Set<WorldTimer>()
  #ingress: TransportIngress | undefined
  #done: ((effect: Effect.Effect<void, TransportFailure>) => void) | undefined
  #startNs = 0
  #frames = 0
  #tick: WorldTimer | undefined
  /** Reasons for which nothing comes in. */
  #deaf = 0
  /** Frames that wait for the connection to go on. */
  #held: Array<() => void> | undefined
  readonly #line: Pipe
  #burst = 0
  #echo: Array<boolean> = []
  #echoOn = false
  #wasAudible = false
  #over = false

  constructor(call: SimCall) {
    this.#call = call
    const { faults, scenario, world } = call
    this.#line = new Pipe(world)
    const drifts = faults.has("media.drift")
    const ppm = () => drifts ? faults.stream("media.drift").between(-200, 200) : 0
    if (drifts) faults.count("media.drift")
    this.#frameNs = frameMs * 1e6 * (1 + ppm() / 1e6)
    this.output = new SimOutput(call, scenario.outputQueueMs, ppm())
    this.#caller = new SimCaller({
      scenario,
      faults,
      book: call.book,
      type: (text) => this.#ingress?.text(text),
      key: (state) => this.#ingress?.pushToTalk(state)
    })
  }

  readonly run = (ingress: TransportIngress): Effect.Effect<void, TransportFailure> =>
    Effect.callback<void, TransportFailure>((resume) => {
      this.#ingress = ingress
      this.#done = resume
      this.#call.script.caller = {
        say: (words) => this.#caller.say(words),
        noise: (ms) => this.#caller.noise(ms),
        type: (words) => {
          if (!this.#over) this.#caller.type(words)
        },
        hangUp: () => this.#caller.hangUp(),
        breaks: () => {
          if (!this.#over) this.#break()
        },
        episode: (kind, forMs) => {
          if (!this.#over) this.#schedule({ kind, atMs: this.#call.world.nowMs, forMs })
        }
      }
      const { faults } = this.#call
      const late = faults.strikes("transport.late_join") ? faults.stream("transport.late_join").between(500, 12_000) : 0
      if (late > 0) this.#after(late * 1e6, () => this.#join())
      else this.#join()
      if (faults.strikes("transport.break")) {
        const at = faults.stream("transport.break").between(500, this.#call.scenario.faultsUntilMs)
        this.#after(at * 1e6, () => this.#break())
      }
      for (const episode of this.#call.scenario.faults.episodes) this.#schedule(episode)
      this.#call.whenComplete.push(() => {
        if (!faults.strikes("caller.types_at_commit")) return
        // As a task of its own: whatever else is to happen in this instant may come before it. Or it is due with the
        // recorder's answer, 1 ns later, so that the two meet.
        this.#after(faults.stream("caller.types_at_commit").below(2), () => this.#caller.interject())
      })
      return Effect.sync(() => this.close())
    })

  close(): void {
    if (this.#over) return
    this.#over = true
    this.#call.leftMs ??= this.#call.world.nowMs
    this.output.close("The call has ended.")
    this.#line.close()
    for (const timer of this.#timers) this.#call.world.callOff(timer)
    this.#timers.clear()
    if (this.#tick !== undefined) this.#call.world.callOff(this.#tick)
  }

  #after(ns: number, then: () => void): void {
    const timer = this.#call.world.after(ns, () => {
      this.#timers.delete(timer)
      if (!this.#over) then()
    })
    this.#timers.add(timer)
  }

  #join(): void {
    const { world } = this.#call
    this.#ingress?.connection("connected")
    this.#startNs = world.nowNs
    this.#tick = world.after(this.#frameNs, this.#onTick)
  }

  /** The clock of the microphone: a process that was stopped finds all frames that came meanwhile. */
  readonly #onTick = (): void => {
    const { world } = this.#call
    const now = world.nowNs
    while (!this.#over && this.#startNs + (this.#frames + 1) * this.#frameNs <= now) this.#microphone()
    if (this.#over) return
    this.#tick = world.after(this.#startNs + (this.#frames + 1) * this.#frameNs - now, this.#onTick)
  }

  #microphone(): void {
    const { faults, world } = this.#call
    const audible = this.output.isAudible
    let sound = this.#caller.frame(world.nowMs, audible)
    if (this.#caller.gone) return this.#hangUp()
    this.#call.saidLastMs = this.#caller.saidLastMs
    if (faults.has("media.echo")) sound = this.#withEcho(sound, audible)
    if (faults.during("media.mute") !== undefined) sound = soundOf.silence
    this.#send(this.#frames++ * frameSamples, sound)
  }

  #withEcho(sound: number, audible: boolean): number {
    if (audible && !this.#wasAudible) this.#echoOn = this.#call.faults.strikes("media.echo")
    this.#wasAudible = audible
    this.#echo.push(audible && this.#echoOn)
    if (this.#echo.length <= echoFrames) return sound
    // Who talks over the agent is louder than its echo.
    return this.#echo.shift() === true && sound < soundOf.word ? soundOf.echo : sound
  }

  /** The network between the microphone and the session. */
  #send(sampleIndex: number, sound: number): void {
    const { book, faults } = this.#call
    if (faults.strikes("media.loss")) return
    if (this.#burst === 0 && faults.strikes("media.burst_loss")) {
      this.#burst = faults.stream("media.burst_loss").between(3, 60)
    }
    if (this.#burst > 0) {
      this.#burst--
      return
    }
    const deliver = () => this.#deliver(sampleIndex, book.frame(sound))
    const held = this.#held
    if (held !== undefined) {
      if (held.length < heldFrames) held.push(deliver)
      return
    }
    const jitterMs = faults.strikes("media.jitter") ? faults.stream("media.jitter").between(1, 250) : 0
    if (faults.strikes("media.duplicate")) {
      this.#after((jitterMs + faults.stream("media.duplicate").between(1, 60)) * 1e6, deliver)
    }
    if (faults.strikes("media.reorder")) {
      this.#after((jitterMs + faults.stream("media.reorder").between(21, 90)) * 1e6, deliver)
    } else this.#line.push(jitterMs, deliver)
  }

  #deliver(sampleIndex: number, samples: Int16Array): void {
    if (this.#deaf > 0 || this.#over) return
    const taken = this.#ingress?.audio({ sampleIndex, samples }) !== false
    // A session that was told to stop takes nothing more, and need not say so.
    if (!taken && this.#call.leftMs === undefined) this.#call.truth.refused++
    if (taken) this.#call.truth.took(sampleIndex)
  }

  #hangUp(): void {
    // Some transports say that the audio has ended, others only that the peer is gone.
    if (this.#call.streams.of("transport/hang_up").chance(0.7)) this.#ingress?.audioEnded()
    this.#ingress?.connection("ended")
    this.close()
    this.#done?.(Effect.void)
  }

  #break(): void {
    this.close()
    this.#done?.(Effect.fail(new TransportFailure({ transport_id: "sim", message: "the simulated network broke" })))
  }

  #schedule(episode: Episode): void {
    const begin = this.#beginning(episode)
    if (begin === undefined) return
    const { faults, world } = this.#call
    this.#after(episode.atMs * 1e6 - world.nowNs, () => {
      if (!faults.isOn) return
      const end = begin()
      let ended = false
      const once = () => {
        if (ended || this.#over) return
        ended = true
        end()
      }
      this.#after(episode.forMs * 1e6, once)
      faults.whenOff(once)
    })
  }

  /** What an episode does when it begins; what it returns puts it right. */
  #beginning(episode: Episode): (() => () => void) | undefined {
    const stream = this.#call.faults.stream(episode.kind)
    const tell = (state: "connected" | "reconnecting" | "disconnected" | "stall" | "silence") =>
      this.#ingress?.connection(state)
    switch (episode.kind) {
      case "transport.stall":
        return () => {
          const hear = this.#deafen(stream.chance(0.5))
          this.output.freeze()
          const noticedMs = stream.between(500, 4000)
          let told = false
          let over = false
          this.#after(noticedMs * 1e6, () => {
            if (over) return
            told = true
            tell("stall")
          })
          return () => {
            over = true
            this.output.thaw()
            hear()
            if (told) tell("connected")
          }
        }
      case "transport.reconnect":
        return () => {
          const hear = this.#deafen(stream.chance(0.3))
          if (stream.chance(0.5)) this.output.freeze()
          tell("reconnecting")
          return () => {
            this.output.thaw()
            tell("connected")
            hear()
          }
        }
      case "transport.half_open":
        return () => {
          const hear = this.#deafen(false)
          let over = false
          if (stream.chance(0.5)) this.#after(3e9, () => over || tell("silence"))
          return () => {
            over = true
            hear()
            tell("connected")
          }
        }
      case "transport.disconnect":
        return () => {
          const hear = this.#deafen(false)
          tell("disconnected")
          return () => {
            hear()
            tell("connected")
          }
        }
      default:
        return undefined
    }
  }

  /** Nothing comes in until the returned function is called; with `keep` it then comes at once. */
  #deafen(keep: boolean): () => void {
    if (keep && this.#held === undefined) {
      const held: Array<() => void> = []
      this.#held = held
      return () => {
        this.#held = undefined
        for (const deliver of held) deliver()
      }
    }
    this.#deaf++
    return () => {
      this.#deaf--
    }
  }
}

/**
 * The media transport of a simulated call: a caller with a microphone and a loudspeaker, a network between, and
 * everything that goes wrong on it. Frames carry positions of the caller's own stream, which drifts from the world's
 * clock where the seed says so.
 */
export const layer = (call: SimCall): Layer.Layer<Transport> =>
  Layer.succeed(Transport, {
    open: () =>
      Effect.map(
        Effect.acquireRelease(Effect.sync(() => new Line(call)), (line) => Effect.sync(() => line.close())),
        (line) => ({ transport_id: "sim", output: line.output, run: line.run })
      )
  })
