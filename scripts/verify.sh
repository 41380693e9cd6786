#!/bin/sh
# Runs the gates on this tree: scripts/verify.sh quick|full. `scripts/verify.sh --help` says more.
set -u
cd "$(dirname "$0")/.." || exit 69
sh scripts/install.sh all || exit $?
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec node scripts/verify.ts "$@"
