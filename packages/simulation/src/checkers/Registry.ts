import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Checker, Violation } from "./Checker.ts"
import { denseSequence } from "./DenseSequence.ts"
import { nothingAfterFence } from "./NothingAfterFence.ts"
import { oneTerminal } from "./OneTerminal.ts"

/** Every checker, in the order of its number. A new one is added here. */
export const checkers: ReadonlyArray<Checker> = [oneTerminal, denseSequence, nothingAfterFence]

/** What a timeline breaks. */
export const checkTimeline = (
  header: TimelineHeader,
  records: ReadonlyArray<TimelineRecord>
): ReadonlyArray<Violation> => checkers.flatMap((checker) => checker.check(header, records))
