// A client asks a control plane for a session, and gets the way into a room, where a worker runs what the session is pinned to.
import { controlClient } from "@rspp/control/http/ControlClient"
import { Effect, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { join } from "node:path"
import { expect, it } from "vitest"
import { ControlPlaneProcess } from "../../support/ControlPlaneProcess.ts"
import { agentHasAnswered, agentIs, filesHere } from "./support/Call.ts"
import { CallerProcess } from "./support/CallerProcess.ts"
import { liveKitSuite } from "./support/LiveKitSuite.ts"
import { soundRecording } from "./support/Recording.ts"
import { WorkerProcess } from "./support/WorkerProcess.ts"

const cwd = filesHere()
const minutes = 60_000
const run = Effect.runPromise
const clientOf = (server: ControlPlaneProcess, key: string) =>
  run(Effect.provide(controlClient({ url: server.url, apiKey: Redacted.make(key) }), FetchHttpClient.layer))

await liveKitSuite("a session of a control plane", (lobby) => {
  it("is the room that its client joins: the pinned pipeline runs there, and its end is told", async () => {
    const { apiKey, apiSecret, url } = lobby.server
    const plane = await ControlPlaneProcess.startWith(
      { LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret },
      cwd,
      ...["--livekit", url, "--agent", "planned"]
    )
    try {
      const platform = await clientOf(plane, plane.platformKey)
      const made = await run(platform.tenants.create({ payload: { tenant_id: "acme", name: "Acme" } }))
      const owner = await clientOf(plane, made.owner.text)
      const spec = { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: "7" }
      await run(owner.pipelines.publish({ payload: { spec } }))
      await run(
        owner.rollouts.put({ params: { pipeline_id: "assistant" }, headers: {}, payload: { stable_version: "7" } })
      )
      const { text: key } = await run(owner.keys.create({ payload: { name: "worker", role: "runtime" } }))
      await using worker = await WorkerProcess.start(cwd, lobby, "planned", {
        agentName: "planned",
        more: ["--control-plane", plane.url, "--leases", "sqlite:control.sqlite"],
        environment: { RSPP_API_KEY: key }
      })
      const { livekit, session } = await run(
        owner.sessions.create({ payload: { pipeline_id: "assistant", caller: "ann" } })
      )
      if (livekit === undefined) throw new Error("the control plane gave no way into a room")
      await using caller = await CallerProcess.join(
        { url: livekit.server_url, token: livekit.participant_token },
        { mic: false }
      )
      await agentIs(caller, "listening")
      const from = caller.facts.now
      await caller.do({ do: "text", topic: "lk.chat", text: "What time is it?" })
      await agentHasAnswered(caller, from)
      expect(await caller.leave()).toBe(0)
      expect(await worker.next("ended")).toMatchObject({ session_id: session.session_id, accepted_turns: 1 })
      const recording = await soundRecording(cwd, join(worker.timelines, `${session.session_id}.timeline`), 1)
      expect(recording.header).toMatchObject({
        session_id: session.session_id,
        tenant_id: "acme",
        pipeline_version: "7"
      })
      const after = await run(owner.sessions.get({ params: { session_id: session.session_id } }))
      expect(after.ended_ms).toBeGreaterThan(after.created_ms)
    } finally {
      await plane.kill()
    }
  }, 3 * minutes)
})
