// What kernel code may not touch, because it would decide differently on the next run, and what to use instead.
// Strict on purpose: a banned name is refused as a local name too, so that nothing can hide behind it.
import { type Node, walk } from "./source-files.ts"

/** The kernel: the runtime, and the replayer's half of it in the timeline package. */
export const isKernel = (path: string): boolean =>
  path.startsWith("packages/runtime/src/") || path.startsWith("packages/timeline/src/replay/")

const time = "time is the stamp of the input being applied; services outside `step` read effect's Clock"
const timers = "arm a timer by command (`arm_timer`); it comes back as an input"
const promises = "use Effect: a raw promise runs when the host pleases and cannot be interrupted"
const network = "the network belongs behind a port"
const collection = "nothing may depend on when memory is collected"
const host = "take what is needed as configuration or through a port; bytes are Uint8Array"

const banned: Readonly<Record<string, string>> = {
  Date: time,
  performance: time,
  setTimeout: timers,
  setInterval: timers,
  setImmediate: timers,
  queueMicrotask: timers,
  Promise: promises,
  crypto: "ids and randomness come from the session's named streams; hashes from @noble/hashes",
  process: host,
  Buffer: host,
  require: host,
  globalThis: "name what is meant, so that this check can see it",
  global: "name what is meant, so that this check can see it",
  console: "emit a signal, or Effect.log outside the frame path",
  fetch: network,
  WebSocket: network,
  WeakRef: collection,
  FinalizationRegistry: collection
}

export interface BannedUse {
  readonly name: string
  readonly start: number
  readonly replacement: string
}

/** Positions in which an identifier is a name of a member or of another module's export, not a use of a global. */
const isOnlyAName = (node: Node, parent: Node | undefined, key: string): boolean => {
  if (parent === undefined) return false
  switch (parent.type) {
    case "MemberExpression":
      return key === "property" && parent["computed"] !== true
    case "Property":
      return key === "key" && parent["computed"] !== true
    case "MethodDefinition":
    case "PropertyDefinition":
    case "AccessorProperty":
      return key === "key" && parent["computed"] !== true
    case "ImportSpecifier":
      return key === "imported" && (parent["local"] as Node).start !== node.start
    case "ExportSpecifier":
      return key === "exported"
    default:
      return false
  }
}

const wrappers = ["TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression", "TSInstantiationExpression"]

/** Every use of something banned in `program`, in order. Types are not looked at: they do nothing when run. */
export const bannedUses = (program: Node): ReadonlyArray<BannedUse> => {
  const uses: Array<BannedUse> = []
  const add = (node: Node, name: string, replacement: string) => uses.push({ name, start: node.start, replacement })
  walk(program, (node, parent, key) => {
    if (node.type.startsWith("TS") && !wrappers.includes(node.type)) return false
    if (key === "typeAnnotation" || key === "typeArguments" || key === "typeParameters") return false
    if (node["async"] === true) add(node, "async", promises)
    if (node.type === "AwaitExpression") add(node, "await", promises)
    if (node.type === "Identifier") {
      const name = String(node["name"])
      if (isOnlyAName(node, parent, key)) return undefined
      const replacement = Object.hasOwn(banned, name) ? banned[name] : undefined
      if (replacement !== undefined) add(node, name, replacement)
      if (name === "Math") {
        const property = parent?.type === "MemberExpression" && key === "object"
          ? parent["property"] as Node
          : undefined
        const member = property?.["name"] ?? property?.["value"]
        if (property === undefined || typeof member !== "string" || member === "random") {
          add(node, "Math.random", "draw from one of the session's named random streams")
        }
      }
    }
    return undefined
  })
  return uses
}
