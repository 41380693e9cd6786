import { Layer } from "effect"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as SqlTimelineStore from "./SqlTimelineStore.ts"
import type { StoreRefused, StoreUnavailable, TimelineStore } from "./TimelineStore.ts"

/** Recordings in one SQLite file: the embedded default. `maxPages` bounds its size, in pages of 4 KiB. */
export const layer = (
  file: string,
  options: { readonly maxPages?: number } = {}
): Layer.Layer<TimelineStore, StoreUnavailable | StoreRefused> =>
  SqlTimelineStore.layer(`sqlite ${file}`).pipe(Layer.provide(NodeSqlite.layer(file, options)))
