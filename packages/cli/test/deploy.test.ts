// deploy/ names nothing that is not there: commands, flags, ports and paths of the program, files of the repository.
// It starts no container; `docker build` and `kubectl apply` were not run here.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { startControlPlane } from "./support/ControlServer.ts"
import { deploymentFaults, documentsOf } from "./support/Deployment.ts"
import type { Deployment, Program } from "./support/Deployment.ts"
import { rspp } from "./support/Program.ts"

const repository = fileURLToPath(new URL("../../../", import.meta.url))
const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-deploy-"))
const read = (path: string) => readFileSync(join(repository, "deploy", path), "utf8")

const deployment: Deployment = {
  dockerfile: read("Dockerfile"),
  ignore: read("Dockerfile.dockerignore"),
  manifests: new Map(
    ["compose.yaml", ...readdirSync(join(repository, "deploy/kubernetes")).map((name) => `kubernetes/${name}`)].map(
      (name) => [name, read(name)]
    )
  )
}

const commands = [["control-plane"], ["control-plane", "backup"]]
let program: Program

beforeAll(async () => {
  const help = new Map<string, string>()
  for (const command of commands) help.set(command.join(" "), (await rspp([...command, "--help"], { cwd })).stdout)
  // asked of the program itself, started as the image starts it
  const server = startControlPlane(cwd, "sqlite:control.sqlite")
  const { url } = await server.said
  const answers = new Map<string, boolean>()
  for (const path of ["/healthz", "/readyz", "/metrics", "/ready", "/health"]) {
    answers.set(path, (await fetch(`${url}${path}`)).status === 200)
  }
  expect((await server.stop()).code).toBe(0)
  const flags = (text: string) => [...text.matchAll(/^ +(--[a-z-]+)/gmu)].map(([, flag = ""]) => flag)
  const inHelp = (name: string) =>
    Number(new RegExp(`--${name} .*[Dd]efault:? (\\d+)`, "u").exec(help.get("control-plane") ?? "")?.[1])
  program = {
    flagsOf: (command) => {
      const text = help.get(command.join(" "))
      return text === undefined ? undefined : flags(text)
    },
    answers: (path) => answers.get(path) === true,
    exists: (path) => existsSync(join(repository, path)),
    packages: ["contracts", ...readdirSync(join(repository, "packages")).map((name) => `packages/${name}`)],
    drainWithinMs: inHelp("drain-within"),
    drainNoticeMs: inHelp("drain-notice")
  }
}, 120_000)
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("deploy/", () => {
  it("names only what there is", () => {
    expect([program.drainWithinMs, program.drainNoticeMs]).toEqual([10_000, 0])
    expect(deploymentFaults(deployment, program)).toEqual([])
  })

  const changed = (file: string, from: string, to: string): Deployment => {
    const swap = (text: string, name: string) => {
      if (name !== file) return text
      expect(text).toContain(from)
      return text.replace(from, to)
    }
    return {
      dockerfile: swap(deployment.dockerfile, "Dockerfile"),
      ignore: swap(deployment.ignore, "Dockerfile.dockerignore"),
      manifests: new Map([...deployment.manifests].map(([name, text]) => [name, swap(text, name)]))
    }
  }
  const control = "kubernetes/control-plane.yaml"

  it.each([
    ["Dockerfile", "packages/sql/package.json", "packages/sqll/package.json", "COPY packages/sqll/package.json"],
    [
      "Dockerfile",
      "COPY packages/timeline/package.json packages/timeline/\n",
      "",
      "packages/timeline/package.json is not"
    ],
    ["Dockerfile", "COPY LICENSE NOTICE ./", "COPY LICENSE README.md ./", "COPY README.md: Dockerfile.dockerignore"],
    ["Dockerfile", "--omit=dev", "", "only for development"],
    ["Dockerfile", "USER 1000:1000", "USER root", "runs as root"],
    ["Dockerfile", "EXPOSE 7800", "EXPOSE 8080", "listens, exposes and checks 7800, 8080, 7800"],
    ["Dockerfile", ":7800/healthz", ":7800/health", "asks for /health"],
    ["Dockerfile", "\"--listen\"", "\"--bind\"", "rspp control-plane has no --bind"],
    ["Dockerfile", "bin/rspp.js", "bin/main.js", "ENTRYPOINT is not the program"],
    ["Dockerfile", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", "not stopped by SIGTERM"],
    ["Dockerfile", "\nFROM node:24-bookworm-slim\nENV", "\nFROM node:20-slim\nENV", "no Node 24"],
    ["Dockerfile.dockerignore", "!packages\n", "", "COPY packages: Dockerfile.dockerignore"],
    ["compose.yaml", "--drain-within", "--drain", "rspp control-plane has no --drain"],
    [
      "compose.yaml",
      "stop_grace_period: 20s",
      "stop_grace_period: 5s",
      "killed after 5000 ms, and may drain for 10000"
    ],
    ["compose.yaml", "127.0.0.1:7800:7800", "127.0.0.1:7800:8080", "publishes 8080 and listens at 7800"],
    ["compose.yaml", "127.0.0.1:7800:7800", "7800:7800", "reached from other machines"],
    ["compose.yaml", "rspp@postgres/rspp", "rspp@db/rspp", "which is not in it"],
    ["compose.yaml", "read_only: true", "read_only: false", "root file system"],
    [
      control,
      "- control-plane\n            - --database",
      "- controlplane\n            - --database",
      "no command rspp controlplane"
    ],
    [control, "--drain-within", "--drain-time", "rspp control-plane has no --drain-time"],
    [control, "\"15000\"", "\"25000\"", "killed after 30000 ms, and may drain for 30000"],
    [control, "path: /readyz", "path: /ready", "readinessProbe asks for /ready"],
    [control, "path: /metrics", "path: /prometheus", "Prometheus asks for /prometheus"],
    [control, "containerPort: 7800", "containerPort: 80", "its port is not 7800"],
    [control, "targetPort: http", "targetPort: web", "leads to a port that is not there"],
    [control, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root file system"],
    [control, "runAsNonRoot: true", "runAsNonRoot: false", "may run as root"],
    [control, "drop: [\"ALL\"]", "drop: []", "keeps capabilities"],
    [control, "              memory: 512Mi", "              storage: 1Gi", "has no limits of memory"],
    [control, "preStop:", "postStart:", "no drain hook"],
    [
      control,
      "valueFrom:\n                secretKeyRef:",
      "value:\n                secretKeyRef:",
      "not from a Secret"
    ],
    [control, "name: RSPP_DATABASE", "name: DATABASE", "uses RSPP_DATABASE, which it is not given"],
    [control, "kind: PodDisruptionBudget", "kind: PodDisruption", "there is no PodDisruptionBudget"],
    [
      "kubernetes/autoscaling.yaml",
      "name: rspp-control-plane\n  #",
      "name: rspp\n  #",
      "scales rspp, which is not there"
    ],
    [
      "kubernetes/backup.yaml",
      "control-plane backup",
      "control-plane back-up",
      "no command rspp control-plane back-up"
    ],
    ["kubernetes/backup.yaml", "--to ", "--output ", "rspp control-plane backup has no --output"],
    ["kubernetes/backup.yaml", "claimName: rspp-backups", "claimName: backups", "there is no claim \"backups\""],
    ["kubernetes/kustomization.yaml", "  - backup.yaml\n", "", "kustomization.yaml names"]
  ])("is seen to be wrong: %s with %j for %j", (file, from, to, words) => {
    expect(deploymentFaults(changed(file, from, to), program).join("\n")).toContain(words)
  })

  it("cannot be read with a key twice", () => {
    expect(() => documentsOf("a: 1\na: 2\n", "x.yaml")).toThrow(/unique|twice|duplicate/iu)
  })
})
