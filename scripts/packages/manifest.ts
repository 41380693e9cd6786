// The package.json that is published, from the one of the repository.

/** As much of a package.json of the repository as is published. */
export interface SourceManifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly repository?: unknown
  readonly bin?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
}

/** The oldest Node that the packages run on: Effect's platform package sets it. The same as in packages/cli/bin/rspp.js. */
export const oldestNode = "22.19"

/** What stands beside `dist` in a package, if it has it, and may be imported by its path. */
export const extras = ["schema", "pipelines"] as const

/** What stands beside `dist` in a package, if it has it. */
const others = ["assets", "bin", "examples"]

/** What a package is published from, and with. */
export interface Publication {
  /** Of the package, from the root of the repository. */
  readonly directory: string
  /** The root's package.json. */
  readonly root: { readonly repository?: unknown }
  /** The commit, if there is nothing in the tree besides it. */
  readonly commit: string | undefined
  /** Packages of others that travel inside. */
  readonly bundled: ReadonlyArray<string>
  /** Which directories the package has. */
  readonly has: (name: string) => boolean
}

/**
 * What npm publishes: entry points in JavaScript with their types, nothing of the tests, nothing that is for work on the
 * repository. `gitHead` is the commit, as npm itself names it.
 */
export const publishedManifest = (
  source: SourceManifest,
  { bundled, commit, directory, has, root }: Publication
): Record<string, unknown> => {
  const { bin, dependencies, description, license, name, version } = source
  const repository = root.repository
  return {
    name,
    version,
    description,
    license,
    ...(typeof repository === "object" && repository !== null ? { repository: { ...repository, directory } } : {}),
    type: "module",
    engines: { node: `>=${oldestNode}` },
    exports: {
      "./package.json": "./package.json",
      ...Object.fromEntries(extras.filter(has).map((extra) => [`./${extra}/*`, `./${extra}/*`])),
      "./internal/*": null,
      "./*": { types: "./dist/*.d.ts", default: "./dist/*.js" }
    },
    ...(bin === undefined ? {} : { bin }),
    files: ["dist", ...extras.filter(has), ...others.filter(has), "NOTICE"],
    publishConfig: { access: "public" },
    dependencies,
    ...(bundled.length === 0 ? {} : { bundleDependencies: bundled }),
    ...(commit === undefined ? {} : { gitHead: commit })
  }
}
