import type { ArtifactKind } from "@rspp/contracts/Artifact"
import { artifactKinds, formatIssue, guessKind, validate } from "@rspp/contracts/Artifact"
import { Context, Layer } from "effect"

/** What a value was judged to be. */
export type Judgement =
  | { readonly verdict: "valid"; readonly kind: ArtifactKind }
  | { readonly verdict: "invalid"; readonly kind: ArtifactKind; readonly problems: ReadonlyArray<string> }
  /** No kind was given, and the value looks like none. */
  | { readonly verdict: "unknown" }

/**
 * Contract and spec validation (DX-02): judges a parsed JSON value as an artifact of one kind, told or guessed by its
 * telling keys. Pure; all problems are reported, each with field and rule.
 */
export class ContractValidation extends Context.Service<ContractValidation, {
  readonly kinds: ReadonlyArray<ArtifactKind>
  readonly judge: (value: unknown, kind?: ArtifactKind) => Judgement
}>()("rspp/ContractValidation") {
  static readonly layer = Layer.succeed(ContractValidation, {
    kinds: artifactKinds,
    judge: (value, given) => {
      const kind = given ?? guessKind(value)
      if (kind === undefined) return { verdict: "unknown" }
      const verdict = validate(kind, value)
      return verdict.ok
        ? { verdict: "valid", kind }
        : { verdict: "invalid", kind, problems: verdict.issues.map(formatIssue) }
    }
  })
}
