#!/usr/bin/env bash
# The quick byte-fidelity set, for a VM. On the host, once: test/native/guest.sh build (KOALA_ARCH=arm64: for such a guest)
# Then: scripts/vm run SERIES --timeout 1500 --env KOALA_TEST_PROBE=kprobe -- test/native/guest.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
out=build/native

if [ "${1:-}" = build ]; then
  mkdir -p "$out"
  exec 9>"$out/.lock"
  flock 9
  if [ ! -e "$out/guest.js" ] || [ -n "$(find test/native tsconfig.json -newer "$out/guest.js" -name '*.[tj]s*' -print -quit)" ]; then
    node_modules/.bin/tsc -p test/native/tsconfig.guest.json
    touch "$out/guest.js"
  fi
  exec node -e "import('./$out/mover.js').then(({ buildMover }) => buildMover()); import('./$out/helper.js').then(({ buildHelper }) => buildHelper())"
fi

[ -e "$out/guest.js" ] || { echo 'not compiled: run test/native/guest.sh build on the host' >&2; exit 3; }
export KOALA_TEST_SIZE=${KOALA_TEST_SIZE:-small}
if [ -n "${KOALA_VM_OUT:-}" ]; then
  export KOALA_TEST_RESULTS=${KOALA_TEST_RESULTS:-$KOALA_VM_OUT/fidelity.jsonl}
fi
exec node "$out/guest.js"
