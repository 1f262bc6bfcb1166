#!/bin/bash
# Runs in the guest, started by fidelity-*.guest: the quick byte-fidelity set with one probe backend. Fails unless it
# gave a verdict on every scenario and none is wrong; its counts go to the kernel table.
set -u
probe=$1
verdicts=$KOALA_VM_OUT/fidelity.jsonl

# Where the kernel preempts fentry's programs it skips them: koala-bpf must refuse (docs/limits.md), and say why.
if [ "$probe" = fentry ] && grep -q -E '\((full|lazy)\)' /sys/kernel/debug/sched/preempt 2>/dev/null; then
  said=$(bin/koala-bpf attach --pid $$ --probe fentry --duration 1s --out /tmp/refused 2>&1)
  status=$?
  if [ "$status" = 3 ] && grep -q 'may preempt' <<<"$said"; then
    echo '{"backend":"fentry","result":"skip","shown":"refused by koala-bpf: this kernel may preempt its programs"}' >>"$KOALA_VM_OUT/results.jsonl"
    exit 0
  fi
  echo "not refused (status $status): $said"
  exit 1
fi

KOALA_TEST_PROBE=$probe KOALA_TEST_RESULTS=$verdicts "$(dirname "$0")/../native/guest.sh"
status=$?

count() { grep -s -c "\"verdict\":\"$1\"" "$verdicts"; }
recorded=$(count recorded) declared=$(count declared) skipped=$(count skipped) wrong=$(count wrong) limit=$(count limit)
shown="${recorded:-0} scenarios byte for byte, ${declared:-0} with every missing byte declared, ${wrong:-0} wrong, ${skipped:-0} not on this kernel"
[ "${limit:-0}" = 0 ] || shown="$shown, $limit beyond this backend (limits.md)"
if [ "$status" = 0 ] && [ "${recorded:-0}" -gt 0 ]; then
  result=pass
else
  result=fail
  [ "$status" = 0 ] && status=1
fi
printf '{"backend":"%s","result":"%s","shown":"%s"}\n' "$probe" "$result" "$shown" >>"$KOALA_VM_OUT/results.jsonl"
echo "$probe: $shown"
exit "$status"
