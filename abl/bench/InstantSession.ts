import { ControlPlane } from "@rspp/control/ControlPlane"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { KernelSession } from "@rspp/runtime/kernel/SessionKernel"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { makeHeader } from "@rspp/runtime/session/Session"
import { Effect } from "effect"

/**
 * A session whose providers, egress and recorder answer in the same instant: what is left is the kernel's own time.
 * `onOutput` is called for each command that the kernel gives.
 */
export class InstantSession {
  readonly kernel: KernelSession
  now = 0
  #ordinal = 0
  #queue: Array<SessionInput> = []
  readonly #onCommand: (type: string) => void

  constructor(kernel: KernelSession, onCommand: (type: string) => void = () => {}) {
    this.kernel = kernel
    this.#onCommand = onCommand
  }

  static readonly open = (spec: NormalizedSpec, onCommand?: (type: string) => void) =>
    Effect.gen(function*() {
      const kernels = yield* SessionKernel
      const header = makeHeader(
        {
          session_id: "ses_bench",
          tenant_id: "bench",
          pipeline: spec.pipeline,
          seed: 1,
          payloadKey: "bench",
          clock: "virtual"
        },
        0,
        {}
      )
      const session = new InstantSession(kernels.open(header), onCommand)
      session.feed({ type: "lease", authority_epoch: 1, status: "issued", ttl_ms: 3_600_000 })
      const control = yield* ControlPlane
      const snapshots = yield* Effect.scoped(control.openSession({
        session_id: "ses_bench",
        placement_id: "bench",
        authority_epoch: 1,
        spec
      }))
      for (const snapshot of snapshots) session.feed({ type: "snapshot", snapshot })
      return session
    })

  handle(payload_class: "text_raw" | "audio_raw", length: number): PayloadHandle {
    return { id: `h_${++this.#ordinal}`, payload_class, length }
  }

  /** Applies an input and everything that follows from it at once. `hold` keeps the voice from ending. */
  feed(input: SessionInput, hold = false): void {
    this.#queue.push(input)
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { outputs } = this.kernel.step(next, this.now)
      for (const output of outputs) {
        if (output.record !== "command") continue
        const { command } = output
        this.#onCommand(command.type)
        switch (command.type) {
          case "start_invocation": {
            const { provider_invocation_id } = command
            const about = { provider_invocation_id, authority_epoch: 1 } as const
            if (command.modality === "llm") {
              this.#queue.push({ type: "text_delta", ...about, handle: this.handle("text_raw", 12) })
              this.#queue.push({ type: "segment", ...about, handle: this.handle("text_raw", 12) })
            } else this.#queue.push({ type: "voice_chunk", ...about, handle: this.handle("audio_raw", 3200) })
            if (hold && command.modality === "tts") break
            this.#queue.push({
              type: "invocation_ended",
              provider_invocation_id,
              outcome_class: "success",
              retryable: false,
              attempts: 1,
              late_outputs: 0
            })
            break
          }
          case "cancel_invocation":
            this.#queue.push({
              type: "invocation_ended",
              provider_invocation_id: command.provider_invocation_id,
              outcome_class: "cancelled",
              retryable: false,
              attempts: 1,
              late_outputs: 0
            })
            break
          case "end_segment": {
            const { segment_id, turn_id } = command
            this.#queue.push({ type: "egress_dequeued", turn_id, items: 1, samples: 3200 })
            this.#queue.push({ type: "playback_started", turn_id, segment_id })
            this.#queue.push({ type: "output_accepted", turn_id, segment_id, samples: 3200 })
            this.#queue.push({ type: "playback_completed", turn_id, segment_id, samples: 3200 })
            break
          }
          case "fence_output":
            this.#queue.push({ type: "egress_fenced", turn_id: command.turn_id, dropped_samples: 0 })
            break
          case "append_evidence":
            this.#queue.push({ type: "evidence_appended", turn_id: command.turn_id, result: "appended" })
            break
          case "arm_timer":
            // The grace of the turn before ends as the next one begins.
            if (command.timer.startsWith("grace:")) {
              this.#queue.push({ type: "timer", timer: command.timer, generation: command.generation })
            }
            break
          default:
            break
        }
      }
    }
  }
}
