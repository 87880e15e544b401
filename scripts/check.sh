#!/usr/bin/env bash
# What CI runs before the tests: format, lint and import direction (biome), types (tsc), unused code and
# dependencies (knip), shell scripts (shellcheck), units (systemd-analyze), man pages (groff), alert rules with their
# tests, the scrape configuration and the exporter's metrics (promtool).
# Runs everything, then says what failed. A tool that is not installed fails too: apt names are printed.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 1

failed=()
check() {
  local name=$1
  shift
  echo "== $name"
  "$@" || failed+=("$name")
}

manual_pages() {
  local page said
  for page in man/*.[58]; do
    said=$(groff -man -Tutf8 -ww -z "$page" 2>&1) || return 1
    [[ -z $said ]] || { echo "$page: $said"; return 1; }
  done
}

# What promtool says of the metrics of a real exporter of a real guard; a dry run, on the build of these sources.
metrics() {
  local scratch guard exporter result
  node scripts/build.mjs || return 1
  scratch=$(mktemp -d /dev/shm/oom-backstop-check-XXXXXX) || return 1
  bin/oom-backstop --dryrun -r 0 --runtime-dir "$scratch" >"$scratch/said" 2>&1 & guard=$!
  bin/oom-backstop exporter --listen none --textfile "$scratch/metrics" --textfile-interval 1s --runtime-dir "$scratch" \
    >>"$scratch/said" 2>&1 & exporter=$!
  for _ in {1..100}; do
    grep -qs '^oom_backstop_guard_up 1' "$scratch/metrics" && break
    sleep 0.2
  done
  if grep -qs '^oom_backstop_guard_up 1' "$scratch/metrics"; then
    promtool check metrics <"$scratch/metrics"
    result=$?
  else
    echo 'no metrics of a guard that is up:'
    cat "$scratch/said"
    result=1
  fi
  kill "$guard" "$exporter"
  wait "$guard" "$exporter" 2>/dev/null
  rm -r "$scratch"
  return "$result"
}

need() {
  command -v "$1" >/dev/null || { echo "missing: $1 (apt-get install $2)"; failed+=("$1"); }
}
need shellcheck shellcheck
need systemd-analyze systemd
need groff groff-base
need promtool prometheus

check 'biome: format, lint, import direction' npx --no-install biome ci --error-on-warnings .
check 'tsc: types' npx --no-install tsc
check 'knip: unused code and dependencies' npx --no-install knip
check 'shellcheck: scripts' shellcheck scripts/*.sh systemd/*.sh test/vm/*.sh .ci/run
check 'groff: man pages' manual_pages
check 'systemd-analyze: units' bash systemd/verify.sh
check 'promtool: alert rules' promtool check rules monitoring/rules/oom-backstop.yml
check 'promtool: tests of the alert rules' promtool test rules monitoring/rules/oom-backstop.test.yml
check 'promtool: scrape configuration' promtool check config monitoring/prometheus.yml
check 'promtool: metrics' metrics

if ((${#failed[@]})); then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo 'all checks passed'
