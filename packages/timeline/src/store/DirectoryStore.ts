import type { FileSystem, Path } from "effect"
import { Layer } from "effect"
import * as DirectoryObjects from "./DirectoryObjects.ts"
import * as ObjectTimelineStore from "./ObjectTimelineStore.ts"
import type { StoreRefused, StoreUnavailable, TimelineStore } from "./TimelineStore.ts"

/** Recordings in a local directory, one file per segment; for one machine, or for a directory that something else copies. */
export const layer = (
  directory: string
): Layer.Layer<TimelineStore, StoreUnavailable | StoreRefused, FileSystem.FileSystem | Path.Path> =>
  ObjectTimelineStore.layer.pipe(Layer.provide(DirectoryObjects.layer(directory)))
