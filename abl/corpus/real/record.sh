#!/bin/sh
# Records the real calls of the corpus anew, with the embedded providers, as fast as the machine can. Times are those of
# the machine, so the bytes differ from run to run: run it when the calls are to be others, not when the format is.
set -eu
cd "$(dirname "$0")/../../.."
PATH="$PWD/node_modules/.bin:$PATH"
to=test/corpus/real
calls=$to/calls
record() {
  name=$1
  shift
  rm -f "$to/$name.timeline"
  rspp run --speed max --timeline "$to/$name.timeline" "$@" >"$to/$name.log" 2>&1 || { cat "$to/$name.log"; exit 1; }
  rm -f "$to/$name.log"
}
record one-turn --input test/recordings/something.wav
record two-turns --script $calls/two-turns.json
record barge-in --script $calls/barge-in.json
record typed --script $calls/typed.json
record hang-up-early --script $calls/hang-up-early.json
record two-models --pipeline contracts/pipelines/two-models.yaml --input test/recordings/goforward.wav
