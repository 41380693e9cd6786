#!/bin/sh
# Prints what a first install costs on this machine, for each of the two sets that scripts/install.sh knows:
# megabytes downloaded (with an empty npm cache) and megabytes in node_modules. Takes a minute or two.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/rspp-measure.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
for level in run all; do
  mkdir -p "$work/$level/scripts"
  tar -cf - package.json package-lock.json .npmrc contracts/package.json packages/*/package.json packages/*/bin scripts/install.sh scripts/installed.cjs |
    tar -xf - -C "$work/$level"
  npm_config_cache="$work/cache-$level" sh "$work/$level/scripts/install.sh" $level >/dev/null
  # Each downloaded file is one file of the cache; npm keeps those that came with a checksum a second time as metadata only.
  downloaded=$(du -sk "$work/cache-$level/_cacache/content-v2" | cut -f1)
  unpacked=$(du -sk "$work/$level/node_modules" | cut -f1)
  echo "$level: $((downloaded * 1024 / 1000000)) MB downloaded, $((unpacked / 1024)) MB in node_modules"
done
