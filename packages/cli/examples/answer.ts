// A program: node answer.ts question.wav reply.wav. Hears a question, answers it, and leaves call.timeline,
// which is never written over. Everything runs on this machine; swap a Layer and it does not.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as RuleAgent from "@rspp/providers/llm/RuleAgent"
import * as Moonshine from "@rspp/providers/stt/MoonshineSpeechToText"
import * as Flite from "@rspp/providers/tts/FliteTextToSpeech"
import * as Silero from "@rspp/providers/vad/SileroVoiceActivity"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import { singleCallScript } from "@rspp/transports/loopback/CallScript"
import * as Loopback from "@rspp/transports/loopback/LoopbackTransport"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { readAudioFile } from "@rspp/transports/loopback/WaveFile"
import { Console, Effect, Layer } from "effect"
import { takeCall } from "./agent.ts"

const [question = "question.wav", reply = "reply.wav"] = process.argv.slice(2)

const answer = Effect.gen(function*() {
  const { samples } = yield* readAudioFile(question)
  const ports = Layer.mergeAll(
    Silero.layer,
    Moonshine.layer,
    RuleAgent.layer,
    Flite.layer,
    Loopback.layer({ script: singleCallScript(samples), reply }),
    FileRecorder.layer({ to: () => "call.timeline" })
  )
  const call = takeCall({
    session_id: "ses_answer",
    providers: { stt: "embedded/moonshine", llm: "embedded/rules", tts: "embedded/flite" },
    clock: "virtual"
  })
  // As fast as it goes; without this line, and with clock: "realtime", it takes as long as the call.
  const { durationMs } = yield* VirtualTime.run(Effect.provide(call, ports))
  yield* Console.log(`${reply}: the answer, after a call of ${(durationMs / 1000).toFixed(1)} s`)
})

NodeRuntime.runMain(Effect.provide(answer, NodeServices.layer))
