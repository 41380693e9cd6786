// Pressure on the recorder, from the buffer that fills to what is on record at the lower level.
import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { RecordingPressure } from "@rspp/runtime/ports/Recorder"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { Context, Effect, Exit, FileSystem, Latch, Layer, Logger, Scope } from "effect"
import { read } from "../../src/format/TimelineReader.ts"
import { CaptureLog, maxLoweredStretches } from "../../src/recorder/CaptureLog.ts"
import { layer, timelinePath } from "../../src/recorder/FileRecorder.ts"
import { RecordAssembler } from "../../src/recorder/RecordAssembler.ts"
import { ExportLag } from "../../src/store/ExportLag.ts"
import { withFiles } from "./support/Disk.ts"
import { makeHeader } from "./support/Fixture.ts"
import { Script } from "./support/Script.ts"
import { until } from "./support/Until.ts"

const header = { ...makeHeader("L2"), behaviour_flags: Object.values(behaviourFlags) }

/** The kernel's answer to pressure. */
const lowered = (script: Script, from: RecordingLevel, to: RecordingLevel): void => {
  script.input({ type: "recording_pressure", level: to, reason: "append_queue_fill" }, "ControlLane")
  script.outputs(
    script.signal("recording_level_downgraded", "OR-02", { reason: `append_queue_fill:${from}_to_${to}` }),
    script.command({ type: "limit_recording", level: to })
  )
}
const raised = (script: Script, to: RecordingLevel): void => {
  script.outputs(script.command({ type: "limit_recording", level: to }))
}

const record = (play: (script: Script) => void) => {
  const records: Array<TimelineRecord> = []
  const assembler = new RecordAssembler(header, {
    emit: (emission) => void records.push(...emission.records),
    appendRequested: () => {}
  })
  play(new Script(assembler, header))
  assembler.finish()
  const end = assembler.end("ended", records.length + 1)
  return { records, end, manifest: end.not_captured }
}

const evidence = (records: ReadonlyArray<TimelineRecord>) =>
  records.flatMap((entry) => entry.record === "evidence" ? [entry.evidence] : [])
const behind = (records: ReadonlyArray<TimelineRecord>) =>
  records.slice(
    records.findIndex((entry) => entry.record === "signal" && entry.signal.signal === "recording_level_downgraded")
  )
const detail = (records: ReadonlyArray<TimelineRecord>) =>
  records.flatMap((entry) =>
    entry.record === "payload"
      ? [`${entry.action} ${entry.payload_class}`]
      : entry.record === "caller_audio"
      ? ["caller"]
      : []
  )

describe("from a downgrade on", () => {
  it("to L1, sound is left out and text is masked; what came before it is kept, before the signal", () => {
    const { records } = record((script) => {
      script.frames(30)
      lowered(script, "L2", "L1")
      script.committed()
      script.frames(100)
    })
    assert.deepStrictEqual(detail(behind(records)), ["mask text_raw"])
    const before = records.slice(0, records.length - behind(records).length)
    const kept = before.flatMap((entry) => entry.record === "caller_audio" ? [entry.pcm_base64] : [])
    assert.strictEqual(kept.reduce((bytes, text) => bytes + Buffer.from(text, "base64").length, 0), 30 * 640)
  })

  it("to L0, nothing of what was said is kept", () => {
    const { records } = record((script) => {
      lowered(script, "L2", "L1")
      lowered(script, "L1", "L0")
      script.committed()
    })
    assert.deepStrictEqual(detail(records), [])
  })

  it("a plan that allows more does not raise it", () => {
    const { records } = record((script) => {
      lowered(script, "L2", "L1")
      script.committed()
      script.committed()
    })
    assert.deepStrictEqual(detail(records), ["mask text_raw", "mask text_raw"])
  })

  it("the level rises again with the limit, and not above what the plan allows", () => {
    const { records } = record((script) => {
      lowered(script, "L2", "L1")
      lowered(script, "L1", "L0")
      script.committed()
      raised(script, "L2")
      script.committed()
      script.planLevel = "L1"
      script.committed()
      script.frames(60)
    })
    assert.deepStrictEqual(detail(behind(records)), [
      "allow text_raw",
      "allow audio_raw",
      // What the caller said before the third turn opened under its plan.
      "allow text_raw",
      "caller"
    ])
  })
})

describe("evidence and manifest", () => {
  const levels = (play: (script: Script) => void) =>
    evidence(record(play).records).map(({ recording_level, turn_id }) => `${turn_id} ${recording_level}`)

  it("say the lowest level that was in force while the turn was open", () => {
    assert.deepStrictEqual(
      levels((script) => {
        script.committed()
        const { turn } = script.open()
        lowered(script, "L2", "L1")
        script.end(turn, "abort", "cancelled")
        script.committed()
        raised(script, "L2")
        script.committed()
      }),
      ["turn_1 L2", "turn_2 L1", "turn_3 L1", "turn_4 L2"]
    )
  })

  it("say nothing of it in recordings that were made before", () => {
    const old = { ...header, behaviour_flags: [1, 2, 3, 4] }
    const records: Array<TimelineRecord> = []
    const assembler = new RecordAssembler(old, {
      emit: (emission) => void records.push(...emission.records),
      appendRequested: () => {}
    })
    new Script(assembler, old).committed()
    assert.isFalse("recording_level" in (evidence(records)[0] ?? { recording_level: 0 }))
  })

  it("name the turns that pressure lowered, those that follow each other together", () => {
    const { manifest } = record((script) => {
      script.committed()
      lowered(script, "L2", "L1")
      script.committed()
      script.committed()
      lowered(script, "L1", "L0")
      script.committed()
      raised(script, "L2")
      script.committed()
      script.planLevel = "L1"
      script.committed()
    })
    assert.strictEqual(manifest?.level, "L0")
    assert.strictEqual(manifest?.caller_audio, "part")
    assert.deepStrictEqual(manifest?.lowered_turns, [
      { first_turn: "turn_2", last_turn: "turn_3", turns: 2, level: "L1" },
      { first_turn: "turn_4", last_turn: "turn_4", turns: 1, level: "L0" }
    ])
  })

  it("stay bounded, however often the level changes", () => {
    const log = new CaptureLog("L2")
    for (let n = 0; n < 1000; n++) log.turn(`turn_${n}`, n % 3 === 0 ? undefined : n % 3 === 1 ? "L1" : "L0")
    const stretches = log.manifest({ detail: 0, records: 0 }).lowered_turns ?? []
    assert.strictEqual(stretches.length, maxLoweredStretches)
    assert.strictEqual(stretches.reduce((sum, { turns }) => sum + turns, 0), 666)
    assert.strictEqual(stretches.at(-1)?.last_turn, "turn_998")
    assert.strictEqual(stretches.at(-1)?.level, "L0")
  })
})

describe("a file recorder", () => {
  /** A recorder under a script that answers its pressure as the kernel does. */
  const open = Effect.fnUntraced(function*(
    directory: string,
    given: { readonly lagMs?: () => number; readonly level?: RecordingLevel }
  ) {
    const said: Array<RecordingPressure> = []
    const own = { ...header, ...makeHeader(given.level ?? "L2"), behaviour_flags: Object.values(behaviourFlags) }
    let level = own.recording_level
    const { lagMs } = given
    const recorder = yield* Recorder.pipe(
      Effect.flatMap((service) =>
        service.open({
          header: own,
          onAppended: () => {},
          onPressure: (pressure) => {
            said.push(pressure)
            queueMicrotask(() => {
              if (pressure.reason === "eased") return
              lowered(script, level, pressure.level)
              level = pressure.level
            })
          }
        })
      ),
      Effect.provide(
        layer({ to: { directory }, limits: { items: 10_000, bytes: 1024 * 1024 } }).pipe(
          lagMs === undefined ? (self) => self : Layer.provide(Layer.succeedContext(Context.make(ExportLag, { lagMs })))
        ),
        { local: true }
      )
    )
    const script: Script = new Script(recorder, own)
    return { said, script, own }
  })
  const inDirectory = <A, E>(
    use: (directory: string, fs: FileSystem.FileSystem) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>
  ) =>
    Effect.scoped(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      return yield* use(yield* fs.makeTempDirectoryScoped({ prefix: "rspp-level-" }), fs)
    })).pipe(Effect.provide([NodeFileSystem.layer, Logger.layer([])]))

  it.live("whose disk stands still says so when its buffer is full, step by step, and that it is over", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function*() {
        const moves = Latch.makeUnsafe(true)
        const slow = withFiles(fs, (file) => ({
          writeAll: (buffer) => Effect.andThen(moves.await, file.writeAll(buffer))
        }))
        const scope = yield* Scope.make()
        const { said, script } = yield* open(directory, {}).pipe(
          Effect.provideService(FileSystem.FileSystem, slow),
          Scope.provide(scope)
        )
        moves.closeUnsafe()
        // Each second of the caller is 43 KB: 23 of them fill it to 0.94.
        for (let second = 0; second < 23; second++) script.frames(50)
        yield* until(() => said.length >= 2)
        assert.deepStrictEqual(said.map(({ level, reason }) => `${level} ${reason}`), [
          "L1 append_queue_fill",
          "L0 append_queue_fill"
        ])
        script.committed()
        moves.openUnsafe()
        yield* until(() => said.length >= 3)
        assert.deepStrictEqual(said[2], { level: "L2", reason: "eased" })
        yield* Scope.close(scope, Exit.void)
        const { records } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
        assert.deepStrictEqual(detail(behind(records)), [])
        const end = records.at(-1)
        assert(end?.record === "end")
        assert.strictEqual(end.not_captured?.level, "L0")
        assert.strictEqual(end.not_captured?.records_lost, 0)
      })
    ))

  it.live("whose store is behind says so, and nothing at L0", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        let lag = 0
        const { said } = yield* open(directory, { lagMs: () => lag })
        lag = 2000
        yield* until(() => said.length >= 1)
        lag = 5000
        yield* until(() => said.length >= 2)
        lag = 0
        yield* until(() => said.length >= 3)
        assert.deepStrictEqual(said.map(({ level, reason }) => `${level} ${reason}`), [
          "L1 export_lag",
          "L0 export_lag",
          "L2 eased"
        ])
      })
    ))
})
