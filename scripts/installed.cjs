// Exits 0 when node_modules holds what package-lock.json asks for, 1 when it does not. `node scripts/installed.cjs run|all`
//
// Asked by scripts/install.sh when its stamp does not fit, so that an installation made by `npm install`, or a package.json
// that changed only in words, does not cost a new download. Plain JavaScript, because it runs on Node 20, before Node 24
// is there. npm keeps a lock of what it installed in node_modules/.package-lock.json.
const { existsSync, readFileSync } = require("node:fs")

const packages = (file) => JSON.parse(readFileSync(file, "utf8")).packages

const isInstalled = (level) => {
  const wanted = packages("package-lock.json")
  const present = packages("node_modules/.package-lock.json")
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/")) continue
    if (level === "run" && entry.dev) continue
    if (entry.optional) {
      // Of the optional ones only those that are certainly for this machine: which C library it has is npm's to know.
      const here = entry.os?.includes(process.platform) && entry.cpu?.includes(process.arch) && entry.libc === undefined
      if (!here) continue
    }
    if (
      entry.link
        ? !existsSync(path)
        : present[path]?.version !== entry.version || !existsSync(`${path}/package.json`)
    ) {
      return false
    }
  }
  return true
}

let installed = false
try {
  installed = isInstalled(process.argv[2])
} catch {
  // No node_modules, or one that npm did not finish.
}
process.exitCode = installed ? 0 : 1
