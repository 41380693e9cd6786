import * as Flag from "effect/cli/Flag"
import { optional } from "./Flags.ts"

// Flags that every command has that runs sessions, under the same names and with the same meaning.

/** Which pipeline, and the programs that are nodes of it. */
export const pipelineFlags = {
  pipeline: optional(
    Flag.String("pipeline").pipe(Flag.withDescription("A pipeline spec, .json or .yaml; default: the embedded one"))
  ),
  providers: optional(
    Flag.String("providers").pipe(
      Flag.withDescription("A providers file, .json or .yaml: adapters and settings under ids; default: RSPP_PROVIDERS")
    )
  ),
  nodes: optional(
    Flag.String("nodes").pipe(
      Flag.withDescription("A JSON file of nodes that are programs of their own, for pipelines that name them")
    )
  )
}

/** What the session is called, and where it is recorded. */
export const recordingFlags = {
  timeline: optional(
    Flag.String("timeline").pipe(
      Flag.withDescription("Record the session to this file or directory; an existing file is never overwritten")
    )
  ),
  session: optional(
    Flag.String("session").pipe(Flag.withDescription("The session's id; default: a new one, by the time"))
  )
}

/** What `--input` is when it is no WAV file. */
export const rawFlags = {
  rawRate: optional(
    Flag.Int("raw-rate").pipe(Flag.withDescription("--input is raw 16-bit PCM of this rate, in Hz"))
  ),
  rawChannels: optional(Flag.Int("raw-channels").pipe(Flag.withDescription("Channels of raw PCM; default 1")))
}

/** For how long the leases of `--leases` last. */
export const leaseTtl = optional(
  Flag.Int("lease-ttl").pipe(
    Flag.withDescription("How long a lease in --leases lasts without renewal, in ms; default 10000")
  )
)

/** Snapshots that are published somewhere else; `ofSession`: what --snapshot-scope says of sessions. */
export const snapshotFlags = (ofSession: string) => ({
  snapshots: optional(
    Flag.String("snapshots").pipe(
      Flag.withDescription(
        "Follow the snapshots that are published there: dir:PATH, sqlite:PATH, postgres://…, or http://… of a control plane"
      )
    )
  ),
  snapshotScope: optional(
    Flag.String("snapshot-scope").pipe(
      Flag.withDescription(
        `Which of the --snapshots; default: those under the pipeline's id, of a control plane the session's${ofSession}`
      )
    )
  ),
  maxStaleness: optional(
    Flag.Int("max-staleness").pipe(
      Flag.withDescription("How long past their TTL the --snapshots still count, in ms; default 0")
    )
  )
})
