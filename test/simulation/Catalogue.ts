import { basename } from "node:path"

/** A scenario that the kernel shows: every test of its file holds it. */
export interface Held {
  readonly id: string
  readonly sentence: string
  /** In `test/simulation/scenarios`. */
  readonly file: string
  /** What of it a later issue widens. */
  readonly widens?: string
  /** Tests that hold it with real processes, servers and networks, by their paths in `test/`. */
  readonly real?: ReadonlyArray<string>
}

/** A scenario that the kernel cannot show yet, or not the whole of it. */
export interface Open {
  readonly id: string
  readonly sentence: string
  /** What is missing. */
  readonly why: string
  /** The issues that bring it. */
  readonly issues: ReadonlyArray<number>
  /** The file that holds the part which can be shown. */
  readonly part?: string
}

/** Every failure from the field and every class of the failure matrix is in one of the two lists, once. */
export const catalogue: { readonly held: ReadonlyArray<Held>; readonly open: ReadonlyArray<Open> } = {
  held: [
    {
      id: "S01",
      sentence: "cancel at any point before playout closes the turn once; the next turn plays",
      file: "S01-cancel-before-playout.ts"
    },
    {
      id: "S02",
      sentence: "delivery state is per segment id; `playback_completed` only when all of it was accepted",
      file: "S02-delivery-by-segment.ts"
    },
    {
      id: "S03",
      sentence: "pause, resume and clear are ordered by the sequencer; nothing cleared returns",
      file: "S03-pause-resume-clear.ts"
    },
    {
      id: "S04",
      sentence: "the fence clears the transport queue; audible tail ≤ the declared transport queue",
      file: "S04-fence-clears-the-transport.ts",
      real: ["e2e/livekit/cutByText.test.ts", "e2e/livekit/bargeIn.test.ts"]
    },
    {
      id: "S05",
      sentence: "a chunk belongs to the turn of its invocation for ever",
      file: "S05-chunks-keep-their-turn.ts"
    },
    {
      id: "S06",
      sentence: "clearing a finished segment never affects a live one",
      file: "S06-live-segments-survive.ts"
    },
    {
      id: "S07",
      sentence: "speculative work has its own id and cannot leave before `turn_open` promotes it",
      file: "S07-work-ahead-of-a-turn.ts"
    },
    { id: "S08", sentence: "at most one open turn; one reply per accepted turn", file: "S08-one-open-turn.ts" },
    {
      id: "S09",
      sentence: "late transcripts merge or are re-proposed by the session policy, and the decision is recorded",
      file: "S09-late-transcripts.ts"
    },
    {
      id: "S10",
      sentence: "the reply is truncated to what delivery reports say was heard, with the uncertainty stated",
      file: "S10-what-was-heard.ts",
      widens: "what a device holds behind the transport's queue is not known"
    },
    {
      id: "S11",
      sentence: "disconnect during speech ends with one recorded outcome for that utterance",
      file: "S11-last-utterance.ts"
    },
    {
      id: "S12",
      sentence: "audio before the recogniser is ready is held in a bounded, declared buffer",
      file: "S12-recogniser-connects.ts"
    },
    {
      id: "S13",
      sentence: "close of the session's scope has a budget; an overrun is an abort with a reason; nothing is left",
      file: "S13-end-marker-lost.ts"
    },
    {
      id: "S14",
      sentence: "heap is flat over a soak of an hour of audio",
      file: "S14-an-hour-of-audio.ts",
      widens: "50 sessions at once, in the benchmarks of issue 3"
    },
    {
      id: "S15",
      sentence: "queue age is bounded and reported; overload sheds by rule",
      file: "S15-bounded-age.ts",
      widens: "every overflow policy on every edge: issue 4"
    },
    {
      id: "S16",
      sentence: "admission reserves before it accepts",
      file: "S16-two-at-once.ts",
      real: ["e2e/livekit/admission.test.ts"]
    },
    {
      id: "S17",
      sentence: "first-output budget per invocation; switch or abort, recorded",
      file: "S17-silent-model.ts"
    },
    {
      id: "S18",
      sentence: "after 1,000 interruptions the number of open sockets is what it was",
      file: "S18-a-thousand-interruptions.ts",
      widens: "connections of simulated providers here; real sockets of real adapters: issue 8"
    },
    {
      id: "S19",
      sentence:
        "another runtime holds a new epoch within one TTL and speaks within two, and the old one can emit nothing",
      file: "S19-taken-over.ts",
      real: ["e2e/livekit/takeover.test.ts"]
    },
    { id: "S20", sentence: "finalizers run whatever fails before them", file: "S20-finalizers-run.ts" },
    {
      id: "S21",
      sentence: "one monotonic timebase per session; times never negative, never mixed",
      file: "S21-one-timebase.ts",
      widens: "leases, which the control plane times by the wall clock: a leap past their TTL ends the turn: issue 6"
    },
    {
      id: "S22",
      sentence: "durations are typed",
      file: "S22-typed-durations.ts"
    },
    {
      id: "F1",
      sentence: "admission overload: `reject`/`defer` before the turn, `shed` at scheduling points",
      file: "F1-admission.ts"
    },
    {
      id: "F2",
      sentence:
        "node timeout or failure: `budget_warning`, `budget_exhausted`, then `degrade`/`fallback` where the plan allows; `node_timeout_or_failure`",
      file: "F2-node-budget.ts",
      widens: "`budget_exhausted` where a node's host is the first to notice its limit: it says `timeout` without it"
    },
    {
      id: "F3",
      sentence:
        "provider failure: `provider_error`, then `provider_switch`/`fallback`; if it ends the turn, `provider_failure`",
      file: "F3-provider-failure.ts",
      widens: "real sockets: issue 8"
    },
    {
      id: "F4",
      sentence:
        "edge pressure: `watermark`, `flow_xoff`/`flow_xon`, `drop_notice`, `shed`; the turn ends only if the plan says so",
      file: "F4-edge-pressure.ts"
    },
    {
      id: "F5",
      sentence:
        "partial loss in a sync domain: `discontinuity`, or atomic `drop_notice`; ends the turn if not recoverable",
      file: "F5-partial-loss.ts",
      widens:
        "a loss that cannot be recovered: neither the plan nor the contract says when one is, and there is no abort reason for it, so a turn always goes on with what is left"
    },
    {
      id: "F6",
      sentence:
        "transport disconnect or stall: `reconnecting`, `disconnected`, `stall`, `silence`, `ended`; if it ends the turn, `transport_disconnect_or_stall`",
      file: "F6-transport.ts",
      real: [
        "e2e/livekit/reconnecting.test.ts",
        "e2e/livekit/serverRestart.test.ts",
        "e2e/livekit/vanishing.test.ts"
      ]
    },
    {
      id: "F7",
      sentence: "authority conflict: `stale_epoch_reject`, `deauthorized_drain`; if it ends the turn, `authority_loss`",
      file: "F7-authority.ts"
    },
    {
      id: "F8",
      sentence:
        "failover: `lease_rotated`, `migration_start`, `migration_finish`, `session_handoff`, and `stale_epoch_reject` for the old writer; old placement: `authority_loss`",
      file: "F8-old-writer.ts",
      real: ["e2e/livekit/takeover.test.ts"]
    },
    {
      id: "X1",
      sentence:
        "cancel with lease loss in one instant: authority loss prevails over the cancel, and the turn ends once",
      file: "X1-cancel-and-lease-loss.ts"
    },
    {
      id: "X2",
      sentence:
        "a disk or a store that does not keep up: `recording_level_downgraded`, one step at a time, and up again at a turn boundary; a turn ends for it only when not even its evidence has room",
      file: "X2-recording-under-pressure.ts"
    }
  ],
  open: []
}

const link = (file: string): string => `[${file}](../test/simulation/scenarios/${file})`
const cell = (text: string): string => text.replaceAll("|", "\\|")

/** The page `docs/scenarios.md`. */
export const page = (): string => {
  const { held, open } = catalogue
  const issues = (numbers: ReadonlyArray<number>) => numbers.map(String).join(" and ")
  const rows = [
    ...held.map(({ file, id, real, sentence, widens }) => ({
      id,
      row: `| ${id} | ${cell(sentence)} | ${link(file)} | held${
        real === undefined
          ? ""
          : `; in real rooms by ${real.map((path) => `[${basename(path)}](../test/${path})`).join(", ")}`
      }${widens === undefined ? "" : `; to be widened by ${cell(widens)}`} |`
    })),
    ...open.map((one) => ({
      id: one.id,
      row: `| ${one.id} | ${cell(one.sentence)} | ${one.part === undefined ? "–" : link(one.part)} | open: ${
        cell(one.why)
      } (issue ${issues(one.issues)}) |`
    }))
  ]
  const rank = (id: string) => "SFX".indexOf(id[0] ?? "")
  const sorted = rows.toSorted((a, b) => rank(a.id) - rank(b.id) || (a.id < b.id ? -1 : 1))
  return `# Scenarios

Failures that users of other frameworks reported (S), the failure matrix of the contract (F), and one that the matrix
does not name (X). Each runs the real session in the seeded world: the script says what happens and when, faults strike
where they happen, and the timeline is read for what must hold. Each recording is written, read back and replayed; then
the script runs again with each event shifted by one place (neighbours exchanged, a frame earlier, a frame later, in one
instant with a neighbour; a provider's fault one call and one result earlier and later), with every checker clean and the
replay identical.

\`vitest run --config vitest.workspace.ts --project cross test/simulation\` runs them all. A failure names the scenario,
the variation, the seed and the rule.

${held.length} are held, ${open.length} are open. This page is written by \`node test/simulation/writePage.ts\` from
[Catalogue.ts](../test/simulation/Catalogue.ts); a test compares them.

| id | what must hold | file | state |
| --- | --- | --- | --- |
${sorted.map(({ row }) => row).join("\n")}
`
}
