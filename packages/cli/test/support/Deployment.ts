import { parseSpecText } from "@rspp/control/SpecFile"
import { Effect } from "effect"

// What deploy/ names, held against what there is: files of the repository, and commands, flags, ports and paths of the
// program. No container is started for it.

/** What deploy/ says, by file. */
export interface Deployment {
  readonly dockerfile: string
  readonly ignore: string
  /** YAML, by the name of the file. */
  readonly manifests: ReadonlyMap<string, string>
}

/** What the program and the repository are. */
export interface Program {
  /** The flags of a command, as its help names them; undefined: there is no such command. */
  readonly flagsOf: (command: ReadonlyArray<string>) => ReadonlyArray<string> | undefined
  /** Whether a server answers `GET` there with 200. */
  readonly answers: (path: string) => boolean
  /** Whether the repository has it. */
  readonly exists: (path: string) => boolean
  /** The directories of all packages, with a package.json each. */
  readonly packages: ReadonlyArray<string>
  /** How long requests may take to end when nothing is said, ms. */
  readonly drainWithinMs: number
  readonly drainNoticeMs: number
}

type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value)
const at = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((inner, key) => (isTree(inner) ? inner[key] : undefined), value)
const listAt = (value: unknown, ...path: ReadonlyArray<string>): ReadonlyArray<unknown> => {
  const list = at(value, ...path)
  return Array.isArray(list) ? list : []
}
const textsAt = (value: unknown, ...path: ReadonlyArray<string>) => listAt(value, ...path).map(String)

/** The documents of a YAML file; throws on one that cannot be read, or has a key twice. */
export const documentsOf = (text: string, file: string): ReadonlyArray<unknown> =>
  text.split(/^---$/mu).map((one) => Effect.runSync(parseSpecText(one, file)).value)

/** An instruction of a Dockerfile on each line, without comments. */
const instructionsOf = (dockerfile: string): ReadonlyArray<readonly [string, string]> =>
  dockerfile.replace(/^#.*$/gmu, "").replace(/\\\n/gu, " ").split("\n").flatMap((line) => {
    const [, name, rest] = /^\s*([A-Z]+)\s+(.*)$/u.exec(line) ?? []
    return name === undefined || rest === undefined ? [] : [[name, rest.trim()] as const]
  })

const json = (text: string): ReadonlyArray<string> => JSON.parse(text) as ReadonlyArray<string>

/** The program within the image, and the name of each flag that a command of it is given. */
const entry = "/app/packages/cli/bin/rspp.js"

const commandFaults = (args: ReadonlyArray<string>, where: string, { flagsOf }: Program): ReadonlyArray<string> => {
  const first = args.findIndex((arg) => arg.startsWith("--"))
  const command = first < 0 ? args : args.slice(0, first)
  const flags = flagsOf(command)
  if (flags === undefined) return [`${where}: there is no command rspp ${command.join(" ")}`]
  return args.filter((arg) => arg.startsWith("--")).map((arg) => arg.split("=")[0] ?? arg)
    .filter((flag) => !flags.includes(flag))
    .map((flag) => `${where}: rspp ${command.join(" ")} has no ${flag}`)
}

const valueOf = (args: ReadonlyArray<string>, flag: string): string | undefined => args[args.indexOf(flag) + 1]
const portOf = (args: ReadonlyArray<string>): number =>
  args.includes("--listen") ? Number(valueOf(args, "--listen")?.split(":").at(-1)) : Number.NaN
const numberOf = (args: ReadonlyArray<string>, flag: string, otherwise: number): number =>
  args.includes(flag) ? Number(valueOf(args, flag)) : otherwise

const dockerfileFaults = ({ dockerfile, ignore }: Deployment, program: Program): ReadonlyArray<string> => {
  const faults: Array<string> = []
  const instructions = instructionsOf(dockerfile)
  const last = (name: string) => instructions.findLast(([one]) => one === name)?.[1]
  const allowed = ignore.split("\n").filter((line) => line.startsWith("!")).map((line) => line.slice(1))
  if (!ignore.split("\n").includes("*")) faults.push("Dockerfile.dockerignore: does not begin with nothing at all")
  const copied: Array<string> = []
  let installed = false
  for (const [name, rest] of instructions) {
    if (name === "RUN" && /\bnpm ci\b/u.test(rest)) {
      installed = true
      if (!rest.includes("--omit=dev")) faults.push("Dockerfile: installs what is only for development")
    }
    if (name !== "COPY" || rest.startsWith("--from=")) continue
    const sources = rest.split(/\s+/u).filter((word) => !word.startsWith("--")).slice(0, -1)
    for (const source of sources) {
      if (!program.exists(source)) faults.push(`Dockerfile: COPY ${source}: there is no such thing in the repository`)
      if (!allowed.some((one) => source === one || source.startsWith(`${one}/`))) {
        faults.push(`Dockerfile: COPY ${source}: Dockerfile.dockerignore leaves it out`)
      }
      if (!installed) copied.push(source)
    }
  }
  for (const directory of program.packages) {
    if (!copied.includes(`${directory}/package.json`)) {
      faults.push(`Dockerfile: ${directory}/package.json is not there when npm ci runs`)
    }
  }
  const major = Number(/^node:(\d+)/u.exec(last("FROM") ?? "")?.[1])
  if (!(major >= 24)) faults.push("Dockerfile: the image has no Node 24")
  if (/^(?:0|root)?(?::|$)/u.test(last("USER") ?? "")) faults.push("Dockerfile: runs as root")
  const entrypoint = json(last("ENTRYPOINT") ?? "[]")
  if (entrypoint[1] !== entry || !program.exists(entry.slice("/app/".length))) {
    faults.push("Dockerfile: ENTRYPOINT is not the program")
  }
  const command = json(last("CMD") ?? "[]")
  faults.push(...commandFaults(command, "Dockerfile", program))
  const health = last("HEALTHCHECK") ?? ""
  const [, port, path = ""] = /http:\/\/127\.0\.0\.1:(\d+)(\/[^']*)/u.exec(health) ?? []
  if (!program.answers(path)) faults.push(`Dockerfile: HEALTHCHECK asks for ${path}, which does not answer`)
  const ports = [portOf(command), Number(last("EXPOSE")), Number(port)]
  if (new Set(ports).size !== 1) faults.push(`Dockerfile: listens, exposes and checks ${ports.join(", ")}`)
  if (last("STOPSIGNAL") !== "SIGTERM") faults.push("Dockerfile: is not stopped by SIGTERM")
  return faults
}

const composeFaults = (compose: unknown, program: Program): ReadonlyArray<string> => {
  const faults: Array<string> = []
  const services = at(compose, "services")
  const control = at(services, "control-plane")
  const args = textsAt(control, "command")
  const fault = (message: string) => faults.push(`compose.yaml: ${message}`)
  faults.push(...commandFaults(args, "compose.yaml", program))
  if (!program.exists(String(at(control, "build", "dockerfile")))) fault("its Dockerfile is not there")
  if (at(control, "read_only") !== true) fault("the root file system can be written")
  const target = textsAt(control, "ports").map((port) => Number(port.split(":").at(-1)))
  if (target.join() !== String(portOf(args))) fault(`publishes ${target.join()} and listens at ${portOf(args)}`)
  if (textsAt(control, "ports").some((port) => !port.startsWith("127.0.0.1:"))) fault("is reached from other machines")
  const graceMs = Number.parseInt(String(at(control, "stop_grace_period")), 10) * 1000
  const drainMs = numberOf(args, "--drain-within", program.drainWithinMs) +
    numberOf(args, "--drain-notice", program.drainNoticeMs)
  if (!(graceMs > drainMs)) fault(`is killed after ${graceMs} ms, and may drain for ${drainMs} ms`)
  for (const name of Object.keys(at(control, "depends_on") ?? {})) {
    if (at(services, name) === undefined) fault(`depends on ${name}, which is not in it`)
  }
  const url = valueOf(args, "--database") ?? ""
  if (at(services, new URL(url).hostname) === undefined) fault(`its database is at ${url}, which is not in it`)
  return faults
}

/** The command line of rspp in a shell's. */
const inShell = (script: string): ReadonlyArray<string> =>
  (script.split(`${entry} `)[1] ?? "").match(/"[^"]*"|\S+/gu)?.map(String) ?? []

const containerFaults = (container: unknown, pod: unknown, where: string, program: Program): ReadonlyArray<string> => {
  const faults: Array<string> = []
  const fault = (message: string) => faults.push(`${where}: ${message}`)
  const command = textsAt(container, "command")
  const args = command.length === 0 ? textsAt(container, "args") : inShell(textsAt(container, "args").join(" "))
  faults.push(...commandFaults(args, where, program))
  const security = at(container, "securityContext")
  if (at(security, "readOnlyRootFilesystem") !== true) fault("the root file system can be written")
  if (at(security, "allowPrivilegeEscalation") !== false) fault("may get more privileges")
  if (textsAt(security, "capabilities", "drop").join() !== "ALL") fault("keeps capabilities")
  if (at(pod, "securityContext", "runAsNonRoot") !== true) fault("may run as root")
  for (const kind of ["requests", "limits"]) {
    for (const what of ["cpu", "memory"]) {
      if (at(container, "resources", kind, what) === undefined) fault(`has no ${kind} of ${what}`)
    }
  }
  for (const one of listAt(container, "env")) {
    const name = String(at(one, "name"))
    if (/PASSWORD|SECRET|KEY|DATABASE/u.test(name) && at(one, "valueFrom", "secretKeyRef") === undefined) {
      fault(`${name} is not from a Secret`)
    }
  }
  const given = listAt(container, "env").map((one) => String(at(one, "name")))
  for (const [, name = ""] of textsAt(container, "args").join(" ").matchAll(/\$(?:\(([A-Z_]+)\)|\{?([A-Z_]+)\}?)/gu)) {
    if (name !== "" && !given.includes(name)) fault(`uses ${name}, which it is not given`)
  }
  const volumes = listAt(pod, "volumes").map((volume) => at(volume, "name"))
  for (const mount of listAt(container, "volumeMounts")) {
    if (!volumes.includes(at(mount, "name"))) fault(`mounts ${String(at(mount, "name"))}, which is no volume`)
  }
  if (!args.includes("--listen")) return faults

  const ports = listAt(container, "ports")
  if (at(ports[0], "containerPort") !== portOf(args)) fault(`its port is not ${portOf(args)}, where it listens`)
  const wanted = { startupProbe: "/healthz", livenessProbe: "/healthz", readinessProbe: "/readyz" } as const
  for (const [probe, path] of Object.entries(wanted)) {
    const named = String(at(container, probe, "httpGet", "path"))
    if (named !== path || !program.answers(named)) fault(`${probe} asks for ${named}, not for ${path}`)
    if (!ports.some((port) => at(port, "name") === at(container, probe, "httpGet", "port"))) {
      fault(`${probe} asks at a port that it has not`)
    }
  }
  const hook = textsAt(container, "lifecycle", "preStop", "exec", "command")
  if (hook[0] !== "sleep") fault("has no drain hook")
  const graceMs = Number(at(pod, "terminationGracePeriodSeconds") ?? 30) * 1000
  const drainMs = Number(hook[1] ?? 0) * 1000 + numberOf(args, "--drain-within", program.drainWithinMs) +
    numberOf(args, "--drain-notice", program.drainNoticeMs)
  if (!(graceMs > drainMs)) fault(`is killed after ${graceMs} ms, and may drain for ${drainMs} ms`)
  return faults
}

const kubernetesFaults = (manifests: Deployment["manifests"], program: Program): ReadonlyArray<string> => {
  const faults: Array<string> = []
  const files = [...manifests].filter(([name]) => name.startsWith("kubernetes/"))
  const all = files.flatMap(([file, text]) => documentsOf(text, file).map((document) => ({ file, document })))
  const kinds = all.map(({ document }) => String(at(document, "kind")))
  const named = (kind: string, name: unknown) =>
    all.find(({ document }) => at(document, "kind") === kind && at(document, "metadata", "name") === name)?.document
  for (const kind of ["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "CronJob"]) {
    if (!kinds.includes(kind)) faults.push(`there is no ${kind}`)
  }
  const kustomization = all.find(({ document }) => at(document, "kind") === "Kustomization")?.document
  const resources = textsAt(kustomization, "resources").sort().join()
  const expected = files.map(([name]) => name.slice("kubernetes/".length)).filter((name) => !name.startsWith("kustom"))
  if (resources !== expected.sort().join()) faults.push(`kustomization.yaml names ${resources}`)
  for (const { document, file } of all) {
    const template = at(document, "spec", "template") ?? at(document, "spec", "jobTemplate", "spec", "template")
    const pod = at(template, "spec")
    for (const container of listAt(pod, "containers")) {
      faults.push(...containerFaults(container, pod, `${file} ${String(at(container, "name"))}`, program))
      if (!listAt(kustomization, "images").some((image) => at(image, "name") === at(container, "image"))) {
        faults.push(`${file}: kustomization.yaml does not say which ${String(at(container, "image"))}`)
      }
    }
    for (const volume of listAt(pod, "volumes")) {
      const claim = at(volume, "persistentVolumeClaim", "claimName")
      if (claim !== undefined && named("PersistentVolumeClaim", claim) === undefined) {
        faults.push(`${file}: there is no claim ${JSON.stringify(claim)}`)
      }
    }
    const labels = JSON.stringify(
      at(named("Deployment", "rspp-control-plane"), "spec", "template", "metadata", "labels")
    )
    const selector = at(document, "spec", "selector", "matchLabels") ??
      (at(document, "kind") === "Service" ? at(document, "spec", "selector") : undefined)
    if (selector !== undefined && JSON.stringify(selector) !== labels) faults.push(`${file}: selects no pod of it`)
    const scraped = at(template, "metadata", "annotations")
    if (scraped !== undefined) {
      const path = String(at(scraped, "prometheus.io/path"))
      if (!program.answers(path)) faults.push(`${file}: Prometheus asks for ${path}, which does not answer`)
    }
    if (at(document, "kind") === "HorizontalPodAutoscaler") {
      const { kind, name } = at(document, "spec", "scaleTargetRef") as Readonly<Record<string, string>>
      if (named(String(kind), name) === undefined) faults.push(`${file}: scales ${name}, which is not there`)
    }
    if (at(document, "kind") === "Service") {
      const [port] = listAt(document, "spec", "ports")
      const containers = listAt(named("Deployment", "rspp-control-plane"), "spec", "template", "spec", "containers")
      const names = containers.flatMap((one) => listAt(one, "ports")).map((one) => at(one, "name"))
      if (!names.includes(at(port, "targetPort"))) faults.push(`${file}: the Service leads to a port that is not there`)
    }
  }
  return faults
}

/** What is wrong with a deployment; nothing when all that it names is there. */
export const deploymentFaults = (deployment: Deployment, program: Program): ReadonlyArray<string> => {
  const compose = deployment.manifests.get("compose.yaml")
  return [
    ...dockerfileFaults(deployment, program),
    ...(compose === undefined
      ? ["there is no compose.yaml"]
      : composeFaults(documentsOf(compose, "compose.yaml")[0], program)),
    ...kubernetesFaults(deployment.manifests, program)
  ]
}
