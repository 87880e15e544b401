# Guest side of a boot, run as root by lab-run: the cases in /lab/cases.sh, one after another.
#
# A case: start a recorder, an innocent bystander, a heartbeat and the guard; let the guard settle; start the hog in
# work.slice; wait until it is gone (labtool guard ends it after a while, or a livelock would never end); keep what happened.
# Everything that has to see the end is locked in memory or started before.
# Emulated, systemctl takes 0.2 s and a reload a second: one call for many units, and no unit file is changed between cases that need not.
# shellcheck shell=bash
# shellcheck disable=SC2317 # the cases call the functions

# boot.sh waits for this.
echo 'guest.sh begins' >/dev/ttyS0

event() { echo "$(cut -d' ' -f1 /proc/uptime) $*" >>"$dir/events"; }
scope() { systemd-run --quiet --scope --slice="$1" --unit="$2" choom -n 0 -- "${@:3}"; }
main_pids() {
  systemctl show -p Id -p MainPID systemd-journald systemd-logind dbus ssh systemd-udevd |
    awk -F= '/^Id/{sub(/\.service$/,"",$2);id=$2} /^MainPID/{pid=$2} /^$/{print id,pid} END{print id,pid}'
}

# install_package: as the README and systemd/README.md say, from the packed tarball that was installed on the host. Only
# the drop-in earlyoom.service has a name of its own here, beside Debian's.
install_package() {
  cp -a /lab/package/. /usr/local/
  local shipped=/usr/local/lib/node_modules/oom-backstop/systemd units=/etc/systemd/system
  cp "$shipped/oom-backstop.service" $units/
  cp "$shipped/earlyoom.service" $units/own-earlyoom.service
  # The same limits for both, as ours ignores swap.
  echo 'EARLYOOM_ARGS="-m 5,3 -s 100 -r 3600"' >/etc/default/earlyoom
  systemctl daemon-reload
}

# guard_unit GUARD: prints the unit that runs it.
guard_unit() {
  case $1 in
    oomd) echo systemd-oomd ;;
    *) echo "$1" ;;
  esac
}

work_dropin=/etc/systemd/system/work.slice.d

start_guard() {
  case $1 in
    none) ;;
    oomd)
      # For its own cases only: a slice that it manages starts it.
      mkdir -p $work_dropin
      printf '[Slice]\nManagedOOMMemoryPressure=kill\nManagedOOMMemoryPressureLimit=60%%\n' >$work_dropin/lab.conf
      systemctl daemon-reload
      systemctl start work.slice systemd-oomd
      ;;
    oom-backstop-root)
      systemd-run --quiet --unit=oom-backstop-root -p OOMScoreAdjust=-900 /usr/local/bin/oom-backstop -r 3600
      ;;
    oom-backstop)
      # As an admin would: the shipped unit's own -r, and what this case adds.
      [ -n "$guard_args" ] && echo "OOM_BACKSTOP_ARGS=\"-r 3600 $guard_args\"" >/etc/default/oom-backstop
      systemctl start oom-backstop
      rm -f /etc/default/oom-backstop
      ;;
    *) systemctl start "$(guard_unit "$1")" ;;
  esac
}

# settle GUARD: until it has done its start: for a second it spent less than a fifth on the CPU or waiting for the disk.
# At most 40 s: on a slow host our own guard takes 15 and more until it is sealed, and what happens to a guard that starts is another
# case (guard-restarted). This second is also what the heartbeat's gaps need before the hog (analyze.mjs counts from half a second).
settle() {
  if [ "$1" = none ]; then
    sleep 1
    return
  fi
  local cgroup busy last=0 quiet=0
  cgroup=/sys/fs/cgroup$(systemctl show -p ControlGroup --value "$(guard_unit "$1")") # nohang has a slice of its own
  for _ in {1..80}; do
    busy=$(awk '/^usage_usec/{sum+=$2} /^some/{sub(/.*total=/,"");sum+=$0} END{print sum}' "$cgroup"/{cpu.stat,io.pressure})
    if [ $((busy - last)) -lt 100000 ]; then quiet=$((quiet + 1)); else quiet=0; fi
    [ $quiet = 2 ] && return
    last=$busy
    sleep 0.5
  done
}

# stop_guard GUARD: keeps its log; stops it, the bystander, the heartbeat and the filer.
stop_guard() {
  local units=(bystander.scope hbexec.scope filer.scope)
  if [ "$1" != none ]; then
    journalctl --sync
    journalctl -b -u "$(guard_unit "$1")" --since "$since" -o short-monotonic --no-pager >"$dir/guard.log"
    # When it was sealed, after what it did in the cases before; of no other guard, which it would tell nothing of.
    case $1 in oom-backstop*) cp /run/oom-backstop/events.ndjson "$dir/" ;; esac
    units+=("$(guard_unit "$1")")
  fi
  systemctl stop --quiet "${units[@]}" 2>/dev/null
  [ "$1" = oomd ] && rm -r $work_dropin && systemctl daemon-reload
}

# root_bps BYTES_PER_S: the root disk's speed from now on (0: as it is). The second serial line is QEMU's monitor (boot.sh).
# A case that has a slow disk gets it just before the hog: its 300 MB of files are read in a second, not in fifteen.
root_bps() { [ "$ROOT_BPS" = 0 ] || echo "block_set_io_throttle root $1 0 0 0 0 0" >/dev/ttyS1; }

# during: what a case does while the hog grows; a case redefines it. $hog is the hog's pid.
during() { :; }

# run NAME GUARD WAIT FILES_PER_S BYSTANDER_MIB HOG...: one case.
run() {
  local name=$1 guard=$2 wait=$3 files=$4 bystander=$5
  dir=/lab/out/$name
  mkdir -p "$dir"
  since=$(date '+%F %T')
  echo "CASE $name up=$(cut -d' ' -f1 /proc/uptime)"
  dmesg --clear
  labtool sample "$dir/sample.tsv" 10 &
  local sampler=$!
  scope user.slice bystander bystander balloon 0 "$bystander" >"$dir/bystander.log" 2>&1 &
  scope user.slice hbexec labtool hb "$dir/hbexec.tsv" 100 date &
  root_bps 0
  start_guard "$guard"
  main_pids >"$dir/pids.before"
  if [ "$files" -gt 0 ]; then
    cat /opt/blob >/dev/null
    scope user.slice filer labtool files /opt/blob "$files" &
  fi
  root_bps "$ROOT_BPS"
  settle "$guard"
  event start
  hog_scope "${@:6}" >"$dir/hog.log" 2>&1 &
  local hog=$! group=/sys/fs/cgroup/work.slice/runaway.scope
  # The cgroup is there before the hog is in it, and to labtool guard an empty one is the end.
  until grep -qs '^populated 1' $group/cgroup.events || ! kill -0 $hog 2>/dev/null; do sleep 0.05; done
  during &
  local during_pid=$!
  labtool guard "$wait" $group >>"$dir/events"
  wait $hog
  event "hog exit $?"
  sleep 1
  local states
  mapfile -t states < <(systemctl is-active bystander.scope hbexec.scope)
  event "bystander ${states[0]}"
  event "hbexec ${states[1]}"
  main_pids >"$dir/pids.after"
  dmesg >"$dir/dmesg.txt"
  # Not before: with journald stopped, the guard's lines arrive when it goes on.
  wait $during_pid
  stop_guard "$guard"
  kill $sampler
  wait
  systemctl reset-failed
  sync
  echo 3 >/proc/sys/vm/drop_caches
  if [ -b /dev/disk/by-id/virtio-swap ]; then
    swapoff -a
    swapon /dev/disk/by-id/virtio-swap
  fi
  during() { :; }
  hog_scope() { scope work.slice runaway "$@"; }
  guard_args=
}
guard_args=
hog_scope() { scope work.slice runaway "$@"; }

systemctl is-system-running --wait >/dev/null
[ -b /dev/disk/by-id/virtio-swap ] && swapon /dev/disk/by-id/virtio-swap
install_package
# shellcheck source=/dev/null
. /lab/cases.sh
