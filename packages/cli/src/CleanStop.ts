import * as Context from "effect/Context"

/**
 * Being stopped by a signal is how a server ends. A command that was stopped and has finished all that it had begun calls
 * `done`: then the program ends with 0, and not with the 130 of a command that was interrupted.
 */
export class CleanStop extends Context.Service<CleanStop, {
  readonly done: () => void
}>()("rspp/CleanStop") {}
