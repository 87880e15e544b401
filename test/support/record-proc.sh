#!/usr/bin/env bash
# Records the kernel files that the parsers read, byte for byte, from this machine:
#
#   test/support/record-proc.sh [DIRECTORY]        (default: test/fixtures/proc)
#
#   meminfo, zoneinfo, pressure-memory, vmstat, loadavg    the whole machine
#   ordinary/                   a process like any other: perl asleep; its effective uid is 65534 where we may set it
#   kernel-thread/              kthreadd's first child (left out where no kernel thread can be seen)
#   brackets/                   a process that calls itself ") Z ("
#   newlines/                   one whose name holds newlines and looks like lines of /proc/PID/status
#   latin1/                     one whose name is not valid UTF-8
#   zombie-main/                its main thread has ended, another one lives (needs python3)
#   kernel                      uname -sr, so that it is known what they were recorded on
#
# The processes are made here and end with this script; nothing of anybody else's is recorded.
set -euo pipefail

out=${1:-"$(dirname "$0")/../fixtures/proc"}
files=(stat statm status comm cmdline oom_score oom_score_adj)
pids=()
trap 'kill -KILL "${pids[@]}" 2>/dev/null || true' EXIT

record() { # PID NAME
  rm -rf "${out:?}/$2"
  mkdir -p "$out/$2"
  for file in "${files[@]}"; do cat "/proc/$1/$file" >"$out/$2/$file"; done
}

# Starts perl under a name of its own (perl sets both comm and cmdline when $0 is written); it says its pid when that is done.
record_named() { # DIRECTORY PERL-STRING
  local pid setup=''
  if [ "$1" = ordinary ] && [ "$(id -u)" = 0 ]; then setup='$> = 65534;'; fi
  exec 3< <(exec perl -e "$setup \$0 = $2; \$| = 1; print \"\$\$\n\"; sleep 60")
  read -r pid <&3
  pids+=("$pid")
  record "$pid" "$1"
}

mkdir -p "$out"
uname -sr >"$out/kernel"
cat /proc/meminfo >"$out/meminfo"
cat /proc/zoneinfo >"$out/zoneinfo"
cat /proc/pressure/memory >"$out/pressure-memory"
cat /proc/vmstat >"$out/vmstat"
cat /proc/loadavg >"$out/loadavg"

record_named ordinary '"ordinary"'
record_named brackets '") Z ("'
record_named newlines '"a\nUid:\t0\nb) R 1"'
record_named latin1 '"caf\xe9 \xff\xfe"'

kernel_thread=$(pgrep --parent 2 --oldest || true)
if [ -n "$kernel_thread" ]; then record "$kernel_thread" kernel-thread; fi

# Ending only the main thread is exit(2) where every library calls exit_group(2).
python3 -c '
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[__import__("os").uname().machine], 0)
' &
pids+=($!)
until grep -q '^State:	Z' "/proc/$!/status"; do sleep 0.05; done
record $! zombie-main
