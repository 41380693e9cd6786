import { Transport } from "@rspp/runtime/ports/Transport"
import { Session } from "@rspp/runtime/session/Session"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import * as RoomTransport from "@rspp/transports/livekit/RoomTransport"
import { liveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { CallerProcess } from "../../e2e/livekit/support/CallerProcess.ts"
import { Lobby } from "../../e2e/livekit/support/Lobby.ts"
import { roomSession } from "../../support/RoomSession.ts"
import { scriptedSpec } from "../../support/ScriptedCall.ts"
import type { Figure, Measure } from "../Figure.ts"
import { percentile } from "../Figure.ts"

const rounds = 60
/** What a question and a cut last, ms. */
const questionMs = 400
const cutMs = 200
/** The agent's answer, which is cut after a part of a second. What cuts it off is no word, and is not answered. */
const answer = "This answer lasts for about four seconds, unless somebody cuts it off before it has come to its end."
/** What the issue asks for, ms. */
const cutBound = 150

/** The machine's clock, ms, as the caller's process reads it too. */
const wallMs = (): number => performance.timeOrigin + performance.now()

/** When what happened last in the agent, by the machine's clock, ms. */
class Marks {
  lastSpeech = 0
  opened = 0
  captured = 0
  cancelled = 0
  fenced = 0
  private awaitsCapture = false

  readonly observer: SessionObserver = {
    outputs: (outputs) => {
      for (const output of outputs) {
        if (output.record !== "signal") continue
        if (output.signal.signal === "turn_open") {
          this.opened = wallMs()
          this.awaitsCapture = true
        }
        if (output.signal.signal === "cancel") this.cancelled = wallMs()
      }
    }
  }

  /** The transport, with its frames in and out on record. */
  readonly watched = (inner: Layer.Layer<Transport>): Layer.Layer<Transport> =>
    Layer.effect(
      Transport,
      Effect.map(Transport, ({ open }) => ({
        open: (options) =>
          Effect.map(open(options), (session) => ({
            transport_id: session.transport_id,
            output: {
              capacityMs: session.output.capacityMs,
              queuedSamples: session.output.queuedSamples,
              clear: session.output.clear,
              capture: (samples) => {
                if (this.awaitsCapture) this.captured = wallMs()
                this.awaitsCapture = false
                return session.output.capture(samples)
              }
            },
            run: (ingress) =>
              session.run({
                ...ingress,
                audio: (frame) => {
                  if (frame.samples.some((sample) => Math.abs(sample) >= 500)) this.lastSpeech = wallMs()
                  return ingress.audio(frame)
                }
              })
          }))
      }))
    ).pipe(Layer.provide(inner))
}

interface Round {
  readonly in: number
  readonly endpointing: number
  readonly kernel: number
  readonly out: number
  readonly whole: number
  readonly cut: number
}

const talk = async (caller: CallerProcess, marks: Marks, tell: (progress: string) => void): Promise<Array<Round>> => {
  const done: Array<Round> = []
  const heardAt = (event: { readonly monoMs: number; readonly wallMs: number }, monoMs: number) =>
    event.wallMs - event.monoMs + monoMs
  for (let round = 0; round < rounds; round++) {
    const from = caller.facts.now
    caller.send({ do: "tone", hz: 300, ms: questionMs, id: `question ${round}` })
    const said = await caller.next("said", ({ id }) => id === `question ${round}`, { from })
    const hearing = await caller.next("hearing", () => true, { from })
    const { captured, lastSpeech, opened } = marks
    const firstHeard = heardAt(hearing, hearing.beganMs)
    // A moment that differs from round to round, against the rhythm of frames and queues.
    await new Promise((resolve) => setTimeout(resolve, 400 + (round * 37) % 500))
    const cutFrom = caller.facts.now
    caller.send({ do: "tone", hz: 300, ms: cutMs, id: `cut ${round}` })
    const heard = await caller.next("heard", () => true, { from: cutFrom })
    const { cancelled } = marks
    done.push({
      in: lastSpeech - said.wallMs,
      endpointing: opened - lastSpeech,
      kernel: captured - opened,
      out: firstHeard - captured,
      whole: firstHeard - said.wallMs,
      cut: heardAt(heard, heard.endedMs) - cancelled
    })
    if (round % 10 === 9) tell(`${round + 1} of ${rounds} questions, each answer cut`)
  }
  return done
}

const measure: Measure = {
  about:
    `At the ear of a caller in a process of its own, through a real livekit-server and WebRTC on loopback: ${rounds} questions of ${questionMs} ms to an agent with instant providers and exact voice activity, each answer cut after 0.4 to 0.9 s (barge_in.min_ms 0). First sound is when the first audible 10 ms of the answer were played, by the clock of the samples; the parts add up to the whole. endpointing is min_silence 250 ms and endpointing.min_ms 300 ms, which run together.`,
  run: async (tell) => {
    const server = await liveKitServer()
    if ("missing" in server) throw new Error(`not run: ${server.missing}`)
    const lobby = new Lobby(server)
    const room = Lobby.roomName()
    const marks = new Marks()
    try {
      const agent = await lobby.seat(room, "agent", { agent: true })
      const spec = await Effect.runPromise(scriptedSpec({ session_config: { barge_in: { min_ms: 0 } } }))
      const replies = Array.from({ length: rounds }, () => answer)
      const session = roomSession(spec, { heard: replies.flatMap(() => ["A question.", ""]), replies }, {
        recogniserMs: 0,
        modelMs: 0,
        voiceMs: 0
      }).pipe(Layer.provide([
        marks.watched(RoomTransport.layer({ url: agent.url, token: Redacted.make(agent.token) })),
        MemoryRecorder.layer()
      ]))
      const running = Effect.runFork(
        Effect.flatMap(Session, ({ run }) =>
          run({
            session_id: room,
            tenant_id: "bench",
            pipeline: spec.pipeline,
            seed: 7,
            payloadKey: "a key for benches",
            clock: "realtime"
          })).pipe(Effect.provideService(SessionObservers, [marks.observer]), Effect.provide(session))
      )
      await using caller = await CallerProcess.join(await lobby.seat(room, "caller"))
      await caller.next("micSubscribed")
      await caller.next("track")
      const all = await talk(caller, marks, tell)
      await caller.leave()
      await Effect.runPromise(Fiber.join(running))
      const figures = (name: string, values: ReadonlyArray<number>, bounded = false): ReadonlyArray<Figure> =>
        ([["p50", 0.5], ["p95", 0.95]] as const).map(([label, p]) => ({
          name: `${name}, ${label}`,
          value: percentile(values, p),
          unit: "ms",
          ...(bounded && p === 0.95 ? { bound: { atMost: cutBound } } : {})
        }))
      return [
        ...figures("cancel accepted → last sound of the cut reply at the ear", all.map(({ cut }) => cut), true),
        ...figures("end of speech → first sound of the reply at the ear", all.map(({ whole }) => whole)),
        ...figures(
          "part: caller's queue, WebRTC in, until the last speech frame is in the session",
          all.map((r) => r.in)
        ),
        ...figures("part: endpointing, until the turn is open", all.map(({ endpointing }) => endpointing)),
        ...figures("part: kernel and instant providers, until the first frame is captured", all.map((r) => r.kernel)),
        ...figures("part: egress queue and WebRTC out, until the first sound", all.map(({ out }) => out))
      ]
    } finally {
      await server.stop()
    }
  }
}
export default measure
