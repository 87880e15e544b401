#!/usr/bin/env bash
# What CI runs before the tests: format, lint and import direction (biome), types (tsc), unused code and
# dependencies (knip), shell scripts (shellcheck), units (systemd-analyze), man pages (groff).
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

need() {
  command -v "$1" >/dev/null || { echo "missing: $1 (apt-get install $2)"; failed+=("$1"); }
}
need shellcheck shellcheck
need systemd-analyze systemd
need groff groff-base

check 'biome: format, lint, import direction' npx --no-install biome ci --error-on-warnings .
check 'tsc: types' npx --no-install tsc
check 'knip: unused code and dependencies' npx --no-install knip
check 'shellcheck: scripts' shellcheck scripts/*.sh systemd/*.sh test/vm/*.sh .ci/run
check 'groff: man pages' manual_pages
check 'systemd-analyze: units' bash systemd/verify.sh

if ((${#failed[@]})); then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo 'all checks passed'
