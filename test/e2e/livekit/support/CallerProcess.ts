import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Facts } from "./Facts.ts"
import type { CallerCommand, CallerEvent } from "./CallerProtocol.ts"

const program = fileURLToPath(new URL("caller.ts", import.meta.url))

type Of<E, Event> = Event extends { readonly event: infer Name } ? E extends Name ? Event : never : never
/** The events of that name. */
export type EventOf<E extends CallerEvent["event"]> = Of<E, CallerEvent>

/** Where to join, and as whom. */
export interface Seat {
  readonly url: string
  readonly token: string
}

export interface JoinOptions {
  /** Publish a microphone; by default it does. */
  readonly mic?: boolean
  /** A WAV that was recorded before an agent came. */
  readonly preConnect?: string
}

/**
 * The test's hand on a caller (caller.ts), a process of its own. Use with `await using`: it is killed at the end.
 *
 * @example
 * await using caller = await CallerProcess.join(seat)
 * caller.say("question.wav")
 * const reply = await caller.next("heard")
 */
export class CallerProcess {
  /** All that it told, in order. */
  readonly facts: Facts<CallerEvent>
  /** How the process ended: its exit code, or null when it was killed. */
  readonly ended: Promise<number | null>
  private readonly child: ChildProcess

  private constructor() {
    const { HOME, PATH, TMPDIR } = process.env
    const child = spawn(process.execPath, ["--no-warnings", program], {
      // In production the native client keeps its log to itself.
      env: { HOME, PATH, TMPDIR, NODE_ENV: "production" },
      stdio: ["pipe", "pipe", "pipe"]
    })
    this.child = child
    const facts = this.facts = new Facts<CallerEvent>("the caller")
    facts.readLines(child.stdout)
    let errors = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = `${errors}${text}`.slice(-4_000)))
    child.stdin.on("error", () => {})
    this.ended = new Promise((resolve) =>
      void child.on("close", (code) => {
        facts.end(`its process ended with ${code}${errors === "" ? "" : `: ${errors.trim()}`}`)
        resolve(code)
      })
    )
  }

  /** A caller that is not in a room yet. */
  static start(): CallerProcess {
    return new CallerProcess()
  }

  /** A caller that has joined, and has published its microphone unless it has none. */
  static async join({ token, url }: Seat, options: JoinOptions = {}): Promise<CallerProcess> {
    const caller = CallerProcess.start()
    const from = caller.facts.now
    caller.send({ do: "join", url, token, ...options })
    const answer = await caller.facts.next(
      "that it has joined",
      (fact) => fact.event === "joinFailed" || (fact.event === "done" && fact.command === "join"),
      { from }
    )
    if (answer.event === "joinFailed") throw new Error(`the caller could not join: ${answer.message}`)
    return caller
  }

  send(command: CallerCommand): void {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`)
  }

  /** Sends it, and waits until it is done; rejects when it fails. What is said is said later: wait for `said`. */
  async do(command: CallerCommand): Promise<void> {
    const from = this.facts.now
    this.send(command)
    const answer = await this.facts.next(
      `the end of ${command.do}`,
      (fact) => (fact.event === "done" || fact.event === "failed") && fact.command === command.do,
      { from }
    )
    if (answer.event === "failed") throw new Error(`the caller could not ${command.do}: ${answer.message}`)
  }

  /** Says a recording; resolves when its last sample has left. */
  async say(file: string): Promise<EventOf<"said">> {
    const from = this.facts.now
    await this.do({ do: "say", file })
    return await this.next("said", ({ id }) => id === file, { from })
  }

  /** The first event of that kind since `from`, or ever; waits for it. */
  async next<E extends CallerEvent["event"]>(
    event: E,
    which: (event: EventOf<E>) => boolean = () => true,
    options?: { readonly from?: number; readonly withinMs?: number }
  ): Promise<EventOf<E>> {
    const isIt = (fact: CallerEvent): boolean => fact.event === event && which(fact as EventOf<E>)
    return await this.facts.next(event, isIt, options) as EventOf<E>
  }

  all<E extends CallerEvent["event"]>(event: E, from = 0): ReadonlyArray<EventOf<E>> {
    return this.facts.all.slice(from).flatMap((fact) => fact.event === event ? [fact as EventOf<E>] : [])
  }

  /** Leaves the room as a user does; resolves when the process has ended. */
  async leave(): Promise<number | null> {
    this.send({ do: "leave" })
    return await this.ended
  }

  /** Killed, without a word to the room. */
  async vanish(): Promise<void> {
    this.child.kill("SIGKILL")
    await this.ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.vanish()
  }
}
