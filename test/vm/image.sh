#!/usr/bin/env bash
# image.sh DIR: builds the guest into DIR (root.img, vmlinuz, initrd.img), as root, from Debian's packages alone.
#
# Debian 12 with systemd, cgroup v2, PSI, Linux 6.1; the peers (earlyoom, nohang, systemd-oomd), sshd as a service whose
# survival matters, and the Node that runs this. Nothing of oom-backstop: that comes in on the lab disk of
# each boot, so the image is good for every commit (run.mjs caches it by what it is made from).
# No loop mount: mmdebstrap fills a directory, mke2fs -d makes a file system of it.
set -euo pipefail
out=$1
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$out"
cd -- "$out"
rm -rf rootfs

packages=systemd,systemd-sysv,dbus,udev,kmod,procps,util-linux,libstdc++6,zstd,openssh-server
packages+=,earlyoom,nohang,systemd-oomd,stress-ng,linux-image-cloud-amd64

# The guest's packages come from where this machine's do.
awk '/^URIs:/{u=$2} /^Suites:/{$1="";s=$0} /^Components:/{$1="";c=$0} /^$/{emit()} END{emit()}
  function emit(  n,i,a){n=split(s,a," ");for(i=1;i<=n;i++)if(u!="")print "deb",u,a[i] c;u="";s=""}' \
  /etc/apt/sources.list.d/*.sources >sources.list
[ -s /etc/apt/sources.list ] && cat /etc/apt/sources.list >>sources.list

# shellcheck disable=SC2016 # mmdebstrap's hooks expand $1
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='APT::Install-Recommends "false"' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
  --essential-hook='printf "MODULES=list\nCOMPRESS=gzip\nRESUME=none\n" >"$1/etc/initramfs-tools/conf.d/lab"' \
  --essential-hook='printf "virtio_pci\nvirtio_blk\next4\n" >"$1/etc/initramfs-tools/modules"' \
  bookworm rootfs sources.list
root=$out/rootfs
cp -L "$root"/boot/vmlinuz-*-cloud-amd64 vmlinuz
cp -L "$root"/boot/initrd.img-*-cloud-amd64 initrd.img
rm -rf "${root:?}"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

# The host's node: what it needs besides libc is libstdc++, of the same Debian release.
install -m755 "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
strip "$root/usr/local/bin/node"
gcc -O2 -static -o "$root/usr/local/bin/labtool" "$here/labtool.c"
# Under names of their own, so that the logs tell them apart.
for name in hog bystander; do ln "$root/usr/local/bin/labtool" "$root/usr/local/bin/$name"; done
head -c 300M /dev/urandom >"$root/opt/blob" # a file-backed working set

echo lab >"$root/etc/hostname"
: >"$root/etc/fstab"
mkdir -p "$root/lab"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/lab.conf"

# lab-run: mount the lab disk, run /lab/guest.sh, keep the logs, power off.
cat >"$root/usr/local/sbin/lab-run" <<'RUN'
#!/bin/bash
exec >/dev/ttyS0 2>&1
disks=/dev/disk/by-id
mount -o noatime $disks/virtio-lab /lab || { echo "LAB-DONE rc=mount"; poweroff -ff; }
mkdir -p /lab/out
cd /lab || exit
echo "LAB-START up=$(cut -d' ' -f1 /proc/uptime) $(uname -r)"
bash /lab/guest.sh > >(tee /lab/out/console.log) 2>&1
rc=$?
dmesg >/lab/out/dmesg.txt
echo $rc >/lab/out/rc
sync; umount -l /lab; sync
echo "LAB-DONE rc=$rc up=$(cut -d' ' -f1 /proc/uptime)"
poweroff -ff
RUN
chmod 755 "$root/usr/local/sbin/lab-run"
cat >"$root/etc/systemd/system/lab.service" <<'UNIT'
[Unit]
Description=Run the cases of this boot
After=multi-user.target
[Service]
# Not oneshot: that would keep the boot unfinished.
Type=exec
ExecStart=/usr/local/sbin/lab-run
# The harness outlives every OOM. Its children inherit this: guest.sh starts victims with `choom -n 0`.
OOMScoreAdjust=-1000
[Install]
WantedBy=multi-user.target
UNIT
# The guards are off until a case starts one; nothing periodic; no gettys.
systemctl --quiet --root="$root" enable lab.service ssh.service
systemctl --quiet --root="$root" disable earlyoom nohang nohang-desktop systemd-oomd 2>/dev/null || true
systemctl --quiet --root="$root" mask serial-getty@ttyS0.service getty@tty1.service getty.target apt-daily.timer \
  apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service \
  systemd-hwdb-update.service systemd-update-utmp.service systemd-pstore.service systemd-networkd.service \
  systemd-timesyncd.service 2>/dev/null || true

rm -f root.img
truncate -s 1600M root.img
mke2fs -q -F -t ext4 -L labroot -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" root.img
rm -rf "$root"
