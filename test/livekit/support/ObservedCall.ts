import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { Effect } from "effect"
import { runScriptedCall } from "../../support/ScriptedCall.ts"
import type { ScriptedCall } from "../../support/ScriptedCall.ts"

type Opened = Parameters<NonNullable<SessionObserver["opened"]>>
type InputRecord = Parameters<NonNullable<SessionObserver["input"]>>[0]
type Outputs = Parameters<NonNullable<SessionObserver["outputs"]>>[0]

/** One step of a session: what went in, and what came of it. */
export interface Step {
  readonly record: InputRecord
  readonly outputs: Outputs
}

/** Everything that an observer of a session was told. */
export interface ObservedCall {
  readonly opened: Opened
  readonly steps: ReadonlyArray<Step>
}

/** A real session with a scripted caller and scripted providers, on virtual time, as an observer saw it. */
export const observeCall = (call: ScriptedCall): Promise<ObservedCall> => {
  const steps: Array<Step> = []
  let opened: Opened | undefined
  const observer: SessionObserver = {
    opened: (...given) => {
      opened = given
    },
    input: (record) => {
      steps.push({ record, outputs: [] })
    },
    outputs: (outputs) => {
      const last = steps.pop()
      if (last !== undefined) steps.push({ ...last, outputs })
    }
  }
  return Effect.runPromise(
    VirtualTime.run(runScriptedCall(call)).pipe(
      Effect.provideService(SessionObservers, [observer]),
      Effect.map(() => {
        if (opened === undefined) throw new Error("the session was not opened")
        return { opened, steps }
      })
    )
  )
}

/** Tells an observer what was seen of a call, up to the step before the first that is `until`. */
export const tell = (
  observers: ReadonlyArray<SessionObserver>,
  steps: ReadonlyArray<Step>
): void => {
  for (const { outputs, record } of steps) {
    for (const observer of observers) {
      observer.input?.(record)
      observer.outputs?.(outputs)
    }
  }
}
