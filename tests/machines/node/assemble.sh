#!/bin/sh
# Process 1 of a machine, in fresh namespaces: puts the machine's root together, moves into it, becomes init.py.
#
# assemble.sh LOWER DIRECTORY KUBELET IMAGES
#   LOWER      the root file system that all machines share, never written to
#   DIRECTORY  the machine's disk: upper, work, root (mount points), data, control
#   KUBELET    the kubelet's program
#   IMAGES     a directory of image archives
set -eu

[ "$$" = 1 ] || { echo "assemble.sh is not process 1 of a PID namespace" >&2 && exit 1; }
lower=$1 directory=$2 kubelet=$3 images=$4
root=$directory/root

mount --make-rprivate /
mount -t overlay machine -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"

# Few devices, and no disk among them: a privileged container is given all that are here.
mount -t tmpfs -o mode=755,size=1m dev "$root/dev"
for device in null zero full random urandom tty kmsg; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o size=64m shm "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

mount -t tmpfs -o mode=755,size=256m run "$root/run"
mount -t tmpfs -o mode=1777,size=64m tmp "$root/tmp"

# What the kubelet would set for the whole box, and finds set.
mkdir "$root/run/kernel"
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    name=${setting%=*}
    [ -e "$root/proc/sys/$name" ] || continue
    copy=$root/run/kernel/$(echo "$name" | tr / .)
    echo "${setting#*=}" >"$copy"
    mount --bind "$copy" "$root/proc/sys/$name"
done
# Only a container's own /proc could still reach this; nothing that runs here writes to it.
[ ! -e "$root/proc/sysrq-trigger" ] || mount --bind /dev/null "$root/proc/sysrq-trigger"

mount -t tmpfs -o mode=755,size=1m cgroup "$root/sys/fs/cgroup"
while IFS=: read -r _ controllers _; do
    [ -n "$controllers" ] || continue
    mkdir "$root/sys/fs/cgroup/${controllers#name=}"
    mount -t cgroup -o "$controllers" cgroup "$root/sys/fs/cgroup/${controllers#name=}"
done </proc/self/cgroup

# The layers of containers need a real file system below them, which the overlay is not.
for name in containerd kubelet; do
    mkdir -p "$directory/data/$name" "$root/var/lib/$name"
    mount --bind "$directory/data/$name" "$root/var/lib/$name"
done
mkdir -p "$root/machine/control" "$root/machine/images"
mount --bind "$directory/control" "$root/machine/control"
mount --bind "$images" "$root/machine/images"
mount -o remount,bind,ro "$root/machine/images"
touch "$root/usr/local/bin/kubelet"
mount --bind "$kubelet" "$root/usr/local/bin/kubelet"

mkdir -p "$root/box"
cd "$root"
pivot_root . box
exec chroot . /bin/sh -c 'umount -l /box && exec /usr/bin/python3 -I /machine/init.py' <dev/null
