import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { json, optional } from "./Flags.ts"

// The command line of releases; part of `Commands.ts`.

const directory = (name: string, what: string) =>
  optional(Flag.String(name).pipe(Flag.withMetavar("DIR"), Flag.withDescription(what)))

const places = {
  repository: Flag.String("repository").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDefault("."),
    Flag.withDescription("The repository; default: here")
  ),
  artifacts: directory("artifacts", "What make verify-full left; default .rspp/verify/full in the repository"),
  tarballs: directory("tarballs", "The packages and their index.json; default dist/tarballs in the repository"),
  rollback: optional(
    Flag.String("rollback").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The way back, .yaml or .json; default release/rollback.yaml in the repository")
    )
  ),
  maxAgeHours: Flag.Finite("max-age-hours").pipe(
    Flag.withDefault(24),
    Flag.withDescription("How old the verification may be; default 24")
  ),
  json
}

const load = Effect.promise(() => import("./command/Release.ts"))

const check = Command.make(
  "check",
  places,
  (flags) => Effect.flatMap(load, ({ checkReleaseFiles }) => checkReleaseFiles(flags))
).pipe(
  Command.withDescription("Say whether this commit may be released, with every reason against it; exit 1 then"),
  Command.withExamples([{ command: "rspp release check", description: "In the repository, after make verify-full" }])
)

const publish = Command.make(
  "publish",
  {
    ...places,
    out: optional(
      Flag.String("out").pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("The manifest; default dist/release/rspp-VERSION.manifest.json in the repository")
      )
    ),
    npm: Flag.Boolean("npm").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Also publish the packages with npm, to the registry that npm is set up for")
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("With --npm: npm publish --dry-run on each package, nothing is sent")
    )
  },
  (flags) => Effect.flatMap(load, ({ publishRelease }) => publishRelease(flags))
).pipe(
  Command.withDescription("Check the release, write its manifest, and hand the packages to npm"),
  Command.withExamples([
    { command: "rspp release publish", description: "The manifest alone" },
    { command: "rspp release publish --npm --dry-run", description: "And have npm look at each package" }
  ])
)

const verify = Command.make(
  "verify",
  {
    file: Argument.String("MANIFEST").pipe(Argument.withDescription("A manifest that publish wrote")),
    artifacts: directory("artifacts", "Hold the files of the verification in this directory against it"),
    tarballs: directory("tarballs", "Hold the packages in this directory against it"),
    json
  },
  (flags) => Effect.flatMap(load, ({ verifyRelease }) => verifyRelease(flags))
).pipe(
  Command.withDescription("Hold a release's manifest against its own hash, and against the files that it lists")
)

/** `rspp release`. */
export const release = Command.make("release").pipe(
  Command.withDescription("Releases: refuse one that is not proven or has no way back, and say what one consists of"),
  Command.withSubcommands([check, publish, verify])
)
