#!/usr/bin/env bash
# The quick byte-fidelity set, inside a VM: scripts/vm run SERIES --env KOALA_TEST_PROBE=kprobe -- test/native/guest.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
export KOALA_TEST_SIZE=${KOALA_TEST_SIZE:-small}
if [ -n "${KOALA_VM_OUT:-}" ]; then
  export KOALA_TEST_RESULTS=${KOALA_TEST_RESULTS:-$KOALA_VM_OUT/fidelity.jsonl}
fi
exec npx mocha "${@:-test/native/fidelity.test.ts}"
