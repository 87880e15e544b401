# Guest side of a boot, run as root by lab-run: the cases in /lab/cases.sh, one after another.
#
# A case: start the guard, a recorder, an innocent bystander and two heartbeats; let the guest settle; start the hog in
# work.slice; wait until it is gone (labtool guard ends it after a while, or a livelock would never end); keep what happened.
# Everything that has to see the end is locked in memory or started before.
# shellcheck shell=bash
# shellcheck disable=SC2317 # the cases call the functions

event() { echo "$(cut -d' ' -f1 /proc/uptime) $*" >>"$dir/events"; }
scope() { systemd-run --quiet --scope --slice="$1" --unit="$2" choom -n 0 -- "${@:3}"; }
main_pids() {
  local unit
  for unit in systemd-journald systemd-logind dbus ssh systemd-udevd; do
    echo "$unit $(systemctl show -p MainPID --value "$unit")"
  done
}

# install_package: as the README and systemd/README.md say, from the packed tarball that was installed on the host.
install_package() {
  cp -a /lab/package/. /usr/local/
  cp /usr/local/lib/node_modules/oom-backstop/systemd/oom-backstop.service /etc/systemd/system/
  systemctl daemon-reload
}

# guard_unit GUARD: prints the unit that runs it.
guard_unit() {
  case $1 in
    earlyoom | own-earlyoom) echo earlyoom ;;
    oomd) echo systemd-oomd ;;
    nohang) echo nohang ;;
    oom-backstop) echo oom-backstop ;;
    oom-backstop-root) echo oom-backstop-root ;;
  esac
}

start_guard() {
  local shipped=/usr/local/lib/node_modules/oom-backstop/systemd
  case $1 in
    none) return ;;
    earlyoom) echo 'EARLYOOM_ARGS="-m 5,3 -s 100 -r 3600"' >/etc/default/earlyoom ;;
    own-earlyoom)
      echo 'EARLYOOM_ARGS="-m 5,3 -s 100 -r 3600"' >/etc/default/earlyoom
      cp "$shipped/earlyoom.service" /etc/systemd/system/earlyoom.service
      ;;
    oomd)
      mkdir -p /etc/systemd/system/work.slice.d
      printf '[Slice]\nManagedOOMMemoryPressure=kill\nManagedOOMMemoryPressureLimit=60%%\n' >/etc/systemd/system/work.slice.d/lab.conf
      ;;
    oom-backstop-root)
      systemd-run --quiet --unit=oom-backstop-root -p OOMScoreAdjust=-900 /usr/local/bin/oom-backstop -r 3600
      sleep 4
      return
      ;;
  esac
  # Emulated, a reload takes a second: only where a unit was changed.
  case $1 in own-earlyoom | oomd) systemctl daemon-reload ;; esac
  [ "$1" = oomd ] && systemctl start work.slice
  systemctl start "$(guard_unit "$1")"
  case $1 in own-earlyoom | oom-backstop) sleep 4 ;; *) sleep 1 ;; esac
}

stop_guard() {
  [ "$1" = none ] && return
  local unit
  unit=$(guard_unit "$1")
  journalctl -b -u "$unit" --since "$since" -o short-monotonic --no-pager >"$dir/guard.log"
  systemctl show "$unit" -p NRestarts -p MainPID -p ActiveState >"$dir/guard.state"
  systemctl stop "$unit"
  case $1 in own-earlyoom | oomd)
    rm -rf /etc/systemd/system/earlyoom.service /etc/systemd/system/work.slice.d
    systemctl daemon-reload
    ;;
  esac
}

# during: what a case does while the hog grows; a case redefines it.
during() { :; }

# run NAME GUARD WAIT FILES_PER_S HOG...: one case.
run() {
  local name=$1 guard=$2 wait=$3 files=$4
  dir=/lab/out/$name
  mkdir -p "$dir"
  since=$(date '+%F %T')
  echo "CASE $name up=$(cut -d' ' -f1 /proc/uptime)"
  dmesg --clear
  start_guard "$guard"
  main_pids >"$dir/pids.before"
  labtool sample "$dir/sample.tsv" 10 &
  local sampler=$!
  scope user.slice bystander bystander balloon 0 150 >"$dir/bystander.log" 2>&1 &
  scope user.slice hbexec labtool hb "$dir/hbexec.tsv" 100 date &
  if [ "$files" -gt 0 ]; then
    cat /opt/blob >/dev/null
    scope user.slice filer labtool files /opt/blob "$files" &
  fi
  sleep 2
  event start
  hog_scope "${@:5}" >"$dir/hog.log" 2>&1 &
  local hog=$! group=/sys/fs/cgroup/work.slice/runaway.scope
  until [ -e $group/cgroup.events ] || ! kill -0 $hog 2>/dev/null; do sleep 0.05; done
  during &
  local during_pid=$!
  labtool guard "$wait" $group >>"$dir/events"
  wait $hog
  event "hog exit $?"
  sleep 1
  local unit
  for unit in bystander hbexec; do event "$unit $(systemctl is-active $unit.scope)"; done
  main_pids >"$dir/pids.after"
  dmesg >"$dir/dmesg.txt"
  kill $sampler
  systemctl stop --quiet bystander.scope hbexec.scope filer.scope 2>/dev/null
  # Not before: with journald stopped, the guard's lines arrive when it goes on.
  wait $during_pid
  stop_guard "$guard"
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
}
hog_scope() { scope work.slice runaway "$@"; }

systemctl is-system-running --wait >/dev/null
[ -b /dev/disk/by-id/virtio-swap ] && swapon /dev/disk/by-id/virtio-swap
install_package
# shellcheck source=/dev/null
. /lab/cases.sh
