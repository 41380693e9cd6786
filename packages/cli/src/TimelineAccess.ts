import { accessAttributes } from "@rspp/contracts/Privacy"
import type { AccessAction } from "@rspp/contracts/Privacy"
import { read } from "@rspp/timeline/format/TimelineReader"
import type { AccessRequest } from "@rspp/timeline/privacy/AccessDecision"
import { AuditLog } from "@rspp/timeline/privacy/AuditLog"
import { findKey } from "@rspp/timeline/privacy/KeyStore"
import { opened } from "@rspp/timeline/privacy/ReadRedaction"
import { ReplayAccess } from "@rspp/timeline/privacy/ReplayAccess"
import { Effect, FileSystem, Layer, Path } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { ofKind, readJson } from "./JsonInput.ts"
import { Screen } from "./Screen.ts"

/** How a command gets at a recording: as its owner, or by a policy. */
export interface AccessFlags {
  /** An access policy; without it the user reads the file as its owner. */
  readonly access: string | undefined
  /** The attributes of the request: `tenant_id=acme,role=qa,…` */
  readonly as: string | undefined
  /** A key store, for the owner. */
  readonly keys: string | undefined
}

/** The owner of a file reads it as it is. */
export const asOwner: AccessFlags = { access: undefined, as: undefined, keys: undefined }

/** The timeline as this user may see it. With a policy, the access is granted or denied, and written down, first. */
export const openTimeline = Effect.fn("openTimeline")(function*(
  file: string,
  action: AccessAction,
  flags: AccessFlags,
  turnId?: string
) {
  const { access, as, keys } = flags
  if (access === undefined) {
    if (as !== undefined) {
      return yield* new CliFailure({
        exit: "usage",
        message: "--as says who asks, and no policy is given that could permit it",
        hint: "Add --access POLICY.json, or leave out --as to read your own file."
      })
    }
    if (keys !== undefined) yield* mustBeKeyStore(keys)
    const timeline = yield* read(file)
    const { payload_key_id } = timeline.header
    if (keys === undefined || payload_key_id === undefined) return timeline
    const key = yield* findKey(keys, payload_key_id)
    if (key === undefined) {
      const { note, style } = yield* Screen
      note(
        `${style.yellow("notice:")} ${file}: its key ${payload_key_id} is not in ${keys}: what is sealed stays closed`
      )
    }
    return opened(timeline, key)
  }
  if (keys !== undefined) {
    return yield* new CliFailure({
      exit: "usage",
      message: "with --access the key store is the policy's, not that of --keys",
      hint: `Leave out --keys, and set key_store in ${access}.`
    })
  }
  const request = yield* requestOf(as ?? "")
  const policy = yield* ofKind(access, "access_policy", yield* readJson(access, "an access policy"))
  const paths = yield* Path.Path
  const beside = (path: string) => paths.resolve(paths.dirname(access), path)
  const layer = ReplayAccess.layerNoDeps(
    policy,
    policy.key_store === undefined ? undefined : beside(policy.key_store)
  ).pipe(Layer.provide(AuditLog.layer(beside(policy.audit_log))))
  return yield* Effect.provide(
    ReplayAccess.use((replayAccess) =>
      replayAccess.read(file, { action, request, ...(turnId === undefined ? {} : { turnId }) })
    ),
    layer
  )
})

const mustBeKeyStore = Effect.fnUntraced(function*(keys: string) {
  const fs = yield* FileSystem.FileSystem
  const kind = yield* fs.stat(keys).pipe(Effect.map(({ type }) => type), Effect.orElseSucceed(() => undefined))
  if (kind === "Directory") return undefined
  return yield* new CliFailure({
    exit: "bad_input",
    message: `${keys}: there is no such key store`,
    hint: "A key store is the directory that rspp run --keys was given."
  })
})

const requestOf = (as: string) =>
  Effect.suspend(() => {
    const request: Record<string, string> = {}
    for (const part of as.split(",").filter((part) => part !== "")) {
      const at = part.indexOf("=")
      const name = accessAttributes.find((attribute) => attribute === part.slice(0, at).trim())
      if (at < 0 || name === undefined) {
        return Effect.fail(
          new CliFailure({
            exit: "usage",
            message: `--as does not take "${part}"`,
            hint: `It is a list of attribute=value with ${accessAttributes.join(", ")}, with commas between them.`
          })
        )
      }
      request[name] = part.slice(at + 1).trim()
    }
    const attributes: AccessRequest = request
    return Effect.succeed(attributes)
  })
