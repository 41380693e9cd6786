import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import type { Server } from "node:http"
import { CliFailure } from "./CliFailure.ts"

/** Where a server listens, as a flag says it (`--listen`). */
export interface ListenAddress {
  readonly text: string
  /** The flag that says it. */
  readonly flag: string
  readonly host: string
  readonly port: number
}

/** Reads `HOST:PORT`; port 0 takes a free one. */
export const listenAddress = (text: string, flag = "--listen"): Effect.Effect<ListenAddress, CliFailure> => {
  const [, host = "", port = ""] = /^(\[[0-9a-f:]+\]|[^:]+):(\d{1,5})$/iu.exec(text) ?? []
  return host === "" || Number(port) > 65_535
    ? Effect.fail(
      new CliFailure({
        exit: "usage",
        message: `${flag} ${text} is no address`,
        hint: "Write HOST:PORT, for example 127.0.0.1:7800."
      })
    )
    : Effect.succeed({ text, flag, host: host.replace(/^\[|\]$/gu, ""), port: Number(port) })
}

/** Node's own words: the error of the layer has none. */
const whyNot = ({ cause, message }: { readonly cause?: unknown; readonly message: string }): string =>
  cause instanceof Error ? cause.message : message

/** The server, listening there. */
export const listening = (server: Server, { flag, host, port, text }: ListenAddress) =>
  NodeHttpServer.layer(() => server, { host, port }).pipe(
    Layer.catch((cause) =>
      Layer.effectContext(Effect.fail(
        new CliFailure({
          exit: "unavailable",
          message: `cannot listen at ${text} (${whyNot(cause)})`,
          hint: `Give another ${flag}, or stop the program that has the port.`
        })
      ))
    )
  )
