#!/usr/bin/env bash
# Checks the units: syntax and commands (systemd-analyze verify: must say nothing), and exposure
# (systemd-analyze security: at most 2.0). Needs systemd's tools, not a running systemd, and no
# installed oom-backstop. Exit: 0 good, 1 bad, 77 systemd-analyze is missing.
set -euo pipefail

if ! command -v systemd-analyze >/dev/null; then
  echo "systemd/verify.sh: systemd-analyze not found (package systemd): units NOT checked" >&2
  exit 77
fi

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
units=(oom-backstop.service earlyoom.service oom-backstop-exporter.service)
# Tenths: 20 is an exposure of 2.0.
threshold=20
export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER='' NO_COLOR=1

# The units are checked byte for byte as they are; only the root that they are looked up in is
# made here. It holds the targets that every service gets by default, so that the result does not
# depend on the units of the machine that runs this.
root=$(mktemp -d)
trap 'rm -rf -- "$root"' EXIT
unitdir=$root/etc/systemd/system
mkdir -p "$unitdir" "$root/usr/bin" "$root/usr/local/bin"
for target in sysinit basic shutdown local-fs swap network multi-user; do
  printf '[Unit]\nDescription=stand-in\nDefaultDependencies=no\n' >"$unitdir/$target.target"
done
for unit in "${units[@]}"; do cp -- "$here/$unit" "$unitdir/$unit"; done
# What a unit calls of the system's.
for command in kill sleep; do
  printf '#!/bin/sh\n' >"$root/usr/bin/$command"
  chmod 755 "$root/usr/bin/$command"
done

failed=0
fail() {
  echo "FAIL $*" >&2
  failed=1
}

# Prints what `verify` says; status as `verify`'s.
verify() { systemd-analyze --no-pager --man=no --root="$root" verify "$unitdir/$1" 2>&1; }

install_commands() {
  local command
  for command in oom-backstop earlyoom; do
    printf '#!/usr/bin/env node\n' >"$root/$1/$command"
    chmod 755 "$root/$1/$command"
  done
}

# Control: while the commands are missing, verify must say so, or its silence below means nothing.
for unit in "${units[@]}"; do
  said=$(verify "$unit") && fail "$unit: verify passes without the command installed"
  [[ $said == *"is not executable"* ]] || fail "$unit: missing command not noticed: $said"
done

# Both prefixes that npm installs to.
for prefix in usr/bin usr/local/bin; do
  install_commands "$prefix"
  for unit in "${units[@]}"; do
    said=$(verify "$unit") || fail "$unit: verify exits non-zero (command in /$prefix)"
    if [[ -n $said ]]; then fail "$unit (command in /$prefix): $said"; else echo "ok   $unit: verify is silent (command in /$prefix)"; fi
  done
  rm -- "$root/$prefix/oom-backstop" "$root/$prefix/earlyoom"
done

# Control: a directive that systemd does not know must be noticed.
install_commands usr/bin
printf '\n[Service]\nNoSuchDirective=yes\n' | cat -- "$here/${units[0]}" - >"$unitdir/control.service"
said=$(verify control.service) || true
[[ $said == *NoSuchDirective* ]] || fail "verify does not notice an unknown directive: $said"

for unit in "${units[@]}"; do
  report=$(systemd-analyze --no-pager security --offline=true --threshold="$threshold" "$here/$unit" 2>&1) || {
    fail "$unit: exposure over $((threshold / 10)).$((threshold % 10)), or not readable:"
    echo "$report" >&2
  }
  figure=$(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p' <<<"$report")
  if [[ -n $figure ]]; then echo "     $unit: exposure $figure (ceiling $((threshold / 10)).$((threshold % 10)))"; else fail "$unit: no exposure figure"; fi
done

exit "$failed"
