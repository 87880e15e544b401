#!/usr/bin/env bash
# boot.sh IMAGE_DIR LAB_DIR: boots a throw-away VM, runs LAB_DIR/guest.sh in it as root, and leaves the guest's
# /lab/out in LAB_DIR/out (with serial.log and qemu.log). The root disk is never changed (copy-on-write).
#
# Exit status: guest.sh's; 124 the time ran out (what was on the disk by then is kept); 125 the guest never finished.
# Environment: MEM_MB=1024, SWAP_MB=0, TIMEOUT=300 (s), BEGINS_S=120 (until guest.sh has begun), SWAP_BPS, ROOT_BPS (bytes/s of those disks; 0: as they are).
#
# Emulated (TCG): /dev/kvm is no use for stock kernels on the machines this was made for. Without -erms and -fsrm memory
# runs at the host's speed; thread=multi gives each vCPU a thread; preallocated RAM takes the host's page faults away.
# shellcheck disable=SC2054 # the commas are QEMU's
set -u
image=$1
lab=$2
mem=${MEM_MB:-1024} swap=${SWAP_MB:-0} timeout=${TIMEOUT:-300}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
rm -rf -- "$lab/out"
mkdir -p "$lab/out"

# The lab disk carries the cases in and the results out: no 9p (the cloud kernel has none), no daemon in the guest, and it
# survives a guest that hangs.
truncate -s 400M "$work/lab.img"
mke2fs -q -F -t ext4 -E root_owner=0:0,lazy_itable_init=0 -d "$lab" "$work/lab.img" || exit 2

# What the guest writes to its second serial line is the monitor's input: it can change a disk's speed (guest.sh).
mkfifo "$work"/{serial1.in,monitor.in,monitor.out}
ln -s monitor.in "$work/serial1.out"

throttle() { [ "${1:-0}" = 0 ] || printf ',throttling.bps-total=%s' "$1"; }
args=(
  -drive "if=none,id=root,file=$image/root.img,format=raw,snapshot=on$(throttle "${ROOT_BPS:-0}")"
  -device virtio-blk-pci,drive=root,serial=root
  -drive "if=none,id=lab,file=$work/lab.img,format=raw,cache=writeback"
  -device virtio-blk-pci,drive=lab,serial=lab
)
if [ "$swap" -gt 0 ]; then
  truncate -s "${swap}M" "$work/swap.img"
  mkswap -q "$work/swap.img" >/dev/null
  args+=(-drive "if=none,id=swap,file=$work/swap.img,format=raw$(throttle "${SWAP_BPS:-0}")"
    -device virtio-blk-pci,drive=swap,serial=swap)
fi
kernel_args="root=LABEL=labroot rw rootfstype=ext4 console=ttyS0 tsc=reliable psi=1 systemd.unified_cgroup_hierarchy=1"
kernel_args+=" panic=5 mitigations=off quiet fsck.mode=skip systemd.show_status=false net.ifnames=0"

start() {
  exec timeout -k 5 "$timeout" qemu-system-x86_64 -accel tcg,thread=multi,tb-size=256 -cpu max,-erms,-fsrm -smp 2 -m "$mem" \
    -nodefaults -object "memory-backend-ram,id=ram,size=${mem}M,prealloc=on" -machine pc,memory-backend=ram \
    -display none -no-reboot -serial "file:$lab/out/serial.log" -serial "pipe:$work/serial1" -monitor "pipe:$work/monitor" -kernel "$image/vmlinuz" -initrd "$image/initrd.img" \
    -append "$kernel_args" "${args[@]}" </dev/null >"$lab/out/qemu.log" 2>&1
}

# Now and then an emulated machine stands still before its kernel has said a word (seen once in some fifty boots): then it is booted again.
begun() { grep -qs 'guest.sh begins' "$lab/out/serial.log"; }
for ((boots = 1; ; boots++)); do
  start &
  qemu=$!
  for ((s = 0; s < ${BEGINS_S:-120}; s++)); do
    begun || ! kill -0 "$qemu" 2>/dev/null && break
    sleep 1
  done
  begun || ! kill -0 "$qemu" 2>/dev/null || [ "$boots" = 3 ] && break
  echo "the guest has not begun after $s s, and is booted again" >&2
  kill "$qemu"
  wait "$qemu"
done
wait "$qemu"
status=$?

# Recover /out without mounting: replay the journal, then copy with debugfs.
e2fsck -fy "$work/lab.img" >/dev/null 2>&1
debugfs -R "rdump /out $work" "$work/lab.img" 2>&1 | grep -v '^debugfs' >&2
[ -d "$work/out" ] && cp -a "$work/out/." "$lab/out/"
[ "$status" = 124 ] || [ "$status" = 137 ] && exit 124
exit "$(cat "$lab/out/rc" 2>/dev/null || echo 125)"
