#!/usr/bin/env bash
# Builds the program of goroutines.mjs for a VM: build/native/goroutines, or goroutines-arm64 for one of that architecture (KOALA_ARCH).
# Without a Go compiler there is none, and the test says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build/native
program=build/native/goroutines${KOALA_ARCH:+-$KOALA_ARCH}
if ! command -v go >/dev/null; then
  rm -f "$program"
  exit 0
fi
out=$PWD/$program
cd test/native/programs/goroutines
CGO_ENABLED=0 GOARCH=${KOALA_ARCH:-} exec go build -o "$out" .
