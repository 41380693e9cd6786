import { Context } from "effect"
import type { Effect, Option } from "effect"
import type { StoreRefused, StoreUnavailable } from "./TimelineStore.ts"

/**
 * A store of objects by key, as cloud providers offer it; the smallest port that a timeline store needs.
 *
 * Keys are parts joined by `/`; no part is empty, `.` or `..`. An object never changes while it is there: `put` is a
 * conditional write (`If-None-Match: *` over HTTP), of which the first wins. An object is there whole or not at all, and
 * durable when `put` has answered.
 */
export class ObjectStore extends Context.Service<ObjectStore, {
  /** What and where it is, for messages; without passwords. */
  readonly name: string
  /** `exists`: an object was there already, and stays. */
  readonly put: (
    key: string,
    bytes: Uint8Array
  ) => Effect.Effect<"created" | "exists", StoreUnavailable | StoreRefused>
  /** The object, or its `first` bytes. */
  readonly get: (
    key: string,
    first?: number
  ) => Effect.Effect<Option.Option<Uint8Array>, StoreUnavailable | StoreRefused>
  /** All keys below `prefix`, which ends in `/` or is empty; in no order. */
  readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<string>, StoreUnavailable | StoreRefused>
  /** Removes an object, for good when it has answered; one that is not there is no error. */
  readonly remove: (key: string) => Effect.Effect<void, StoreUnavailable | StoreRefused>
}>()("rspp/ObjectStore") {}
