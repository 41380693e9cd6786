#!/bin/sh
# Installs what a make target needs, and does nothing at all when that is installed already.
#
#   scripts/install.sh run      what `make run` needs: Node 24, the speech models, Effect
#   scripts/install.sh all      that and the tools: compiler, test runner, linter, formatter
#
# The stamp node_modules/.rspp-install holds what was asked for and a checksum of every file that says what to install.
# While both still fit, or scripts/installed.cjs finds everything there, npm is not started and no network is needed.
# Exit codes: 0 installed, 69 could not install (with what to do), 130 interrupted.
set -u
cd "$(dirname "$0")/.." || exit 69
level=${1:-all}
stamp=node_modules/.rspp-install

# Measured on linux-x64 with an empty npm cache: scripts/measure-install.sh prints these four numbers.
case $level in
run) flags="--omit=dev" download_mb=180 disk_mb=409 ;;
all) flags="" download_mb=303 disk_mb=924 ;;
*) echo "usage: scripts/install.sh run|all" >&2; exit 2 ;;
esac

checksum=$(cat package.json package-lock.json .npmrc contracts/package.json packages/*/package.json | cksum)
if [ -f "$stamp" ] && [ -x node_modules/.bin/node ]; then
  case $(cat "$stamp") in
  "$level $checksum" | "all $checksum") exit 0 ;;
  esac
fi

cannot() {
  echo "rspp: $1" >&2
  exit 69
}

command -v node >/dev/null 2>&1 ||
  cannot "Node.js was not found. Install Node 20 or newer (https://nodejs.org), then run this again."
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
  cannot "Node.js $(node --version) is too old. Install Node 20 or newer (https://nodejs.org), then run this again."
# npm's own word is not enough: npm 10 can end with exit 0 after the network failed.
complete() { [ -d node_modules ] && node scripts/installed.cjs "$1"; }
runs() { node_modules/.bin/node --version >/dev/null 2>&1; }

for have in all "$level"; do
  if complete "$have" && runs; then
    echo "$have $checksum" >"$stamp"
    exit 0
  fi
done
command -v npm >/dev/null 2>&1 ||
  cannot "npm was not found. It comes with Node.js (https://nodejs.org); some systems package it separately as 'npm'."

echo "Installing from the npm registry: about $download_mb MB to download, $disk_mb MB on disk. This happens once."
rm -f "$stamp"
log=$(mktemp "${TMPDIR:-/tmp}/rspp-install.XXXXXX") || exit 69
# shellcheck disable=SC2086 # the flags are words
npm ci --loglevel=error --no-audit --no-fund --fetch-retries=3 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=8000 $flags >"$log" 2>&1 &
npm=$!
trap 'kill "$npm" 2>/dev/null; wait "$npm" 2>/dev/null; rm -f "$log"; echo; echo "Interrupted. Run the same command to start again." >&2; exit 130' INT TERM

terminal=no
[ -t 1 ] && terminal=yes
start=$(date +%s)
tick=0
size() { set -- $(du -sk node_modules 2>/dev/null || echo 0) && echo $((${1:-0} / 1024)); }
# Node's headers and manuals are unpacked too, and removed at the end.
unpacked_mb=$((disk_mb + 68))
# On a terminal one line that rewrites itself each second; elsewhere a line every five seconds.
while kill -0 "$npm" 2>/dev/null; do
  sleep 1
  tick=$((tick + 1))
  if [ $terminal = yes ]; then
    printf '\r  %s of about %s MB unpacked, %s s ' "$(size)" "$unpacked_mb" "$(($(date +%s) - start))"
  elif [ $((tick % 5)) -eq 0 ]; then
    echo "  $(size) of about $unpacked_mb MB unpacked, $(($(date +%s) - start)) s"
  fi
done
wait "$npm"
code=$?
trap - INT TERM
[ $terminal = yes ] && printf '\r\033[K'

if [ $code -ne 0 ] || ! complete "$level"; then
  sed 's/^/  /' "$log" >&2
  rm -f "$log"
  cannot "npm could not install the packages (its words are above). Check the network or proxy, then run this again."
fi
rm -f "$log"
runs ||
  cannot "Node 24 was not unpacked, because npm may not run install scripts here. Run: npm rebuild node --ignore-scripts=false"
# The program is a hard link to the file in here; the rest is headers and manuals.
rm -rf node_modules/node/node_modules
echo "$level $checksum" >"$stamp"
echo "Installed in $(($(date +%s) - start)) s: $(size) MB in node_modules, with Node $(node_modules/.bin/node --version)."
