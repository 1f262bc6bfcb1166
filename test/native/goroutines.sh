#!/usr/bin/env bash
# Builds the program of goroutines.mjs for a VM: build/native/goroutines. Without a Go compiler there is none, and the test says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build/native
if ! command -v go >/dev/null; then
  rm -f build/native/goroutines
  exit 0
fi
cd test/native/programs/goroutines
CGO_ENABLED=0 exec go build -o ../../../../build/native/goroutines .
