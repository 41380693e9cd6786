import { Effect, Layer, Option } from "effect"
import { ObjectStore } from "./ObjectStore.ts"

/** Objects in memory, gone with the layer's scope: for tests and for trying things out. */
export const layer: Layer.Layer<ObjectStore> = Layer.sync(ObjectStore, () => {
  const objects = new Map<string, Uint8Array>()
  return ObjectStore.of({
    name: "memory",
    put: (key, bytes) =>
      Effect.sync(() => {
        if (objects.has(key)) return "exists"
        objects.set(key, bytes.slice())
        return "created"
      }),
    get: (key, first) =>
      Effect.sync(() => Option.map(Option.fromUndefinedOr(objects.get(key)), (_) => _.slice(0, first))),
    remove: (key) => Effect.sync(() => void objects.delete(key)),
    list: (prefix) => Effect.sync(() => [...objects.keys()].filter((key) => key.startsWith(prefix)))
  })
})
