// Holds I-PUT-ONCE, I-PUT-HASH, I-PUT-WHOLE.
import { Effect, Layer, Option } from "effect"
import * as MemoryObjects from "../../src/store/MemoryObjects.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import * as ObjectTimelineStore from "../../src/store/ObjectTimelineStore.ts"
import { StoreUnavailable } from "../../src/store/TimelineStore.ts"
import { storeConformance } from "./support/Conformance.ts"

storeConformance(
  "objects in memory",
  Effect.gen(function*() {
    const objects = yield* Effect.provide(ObjectStore, MemoryObjects.layer)
    const over = (changes: Partial<ObjectStore["Service"]>) =>
      ObjectTimelineStore.layer.pipe(Layer.provide(Layer.succeed(ObjectStore, { ...objects, ...changes })))
    let damaged = false
    return {
      layer: over({
        get: (key, first) =>
          Effect.map(objects.get(key, first), (found) =>
            Option.map(found, (bytes) => {
              if (damaged && key.endsWith("00000000.segment")) bytes[bytes.length - 1] = 255 - (bytes.at(-1) ?? 0)
              return bytes
            }))
      }),
      damage: Effect.sync(() => {
        damaged = true
      }),
      unable: over({ put: () => Effect.fail(new StoreUnavailable({ store: "memory", message: "no answer" })) })
    }
  })
)
