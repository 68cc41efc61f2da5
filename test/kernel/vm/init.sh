#!/bin/busybox sh
# PID 1 of the guest. First inside the initramfs: brings the host's files, read-only under an overlay in memory.
# Then, called again as `init guest` with those as its root: runs the command and sends what it prints, its report
# and its exit code to the host. /settings has MODULES; /command is the command.
# busybox alone: every dynamic program takes tens of milliseconds to start under emulation.
set -u

bring_files() {
  bb=/bin/busybox
  $bb mount -t proc proc /proc
  $bb mount -t sysfs sys /sys
  $bb mount -t devtmpfs dev /dev
  for module in /modules/*.ko; do
    $bb insmod $module || echo "init: $module cannot be loaded"
  done
  # cache=loose takes the host's files not to change meanwhile; without a cache node starts in twice the time.
  $bb mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /lower || return
  $bb mount -t tmpfs -o size=75%,mode=755 rw /rw
  $bb mkdir /rw/upper /rw/work
  $bb mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work root /new || return
  for name in proc sys dev; do $bb mount --move /$name /new/$name; done
  $bb mkdir -p /new/run
  $bb mount -t tmpfs -o mode=755 run /new/run
  $bb mkdir /new/run/vm /new/run/lock
  $bb cp $bb /init /settings /command /new/run/vm/
  exec $bb switch_root /new /run/vm/busybox sh /run/vm/init guest
}

prepare() {
  # The parts that udev and systemd would add.
  mkdir -p /dev/pts /dev/shm
  mount -t devpts -o ptmxmode=666,gid=5 devpts /dev/pts
  mount -t tmpfs shm /dev/shm
  ln -sf /proc/self/fd /dev/fd
  ln -sf /proc/self/fd/0 /dev/stdin
  ln -sf /proc/self/fd/1 /dev/stdout
  ln -sf /proc/self/fd/2 /dev/stderr
  release=$(uname -r)
  mkdir -p /lib/modules/$release
  mount -o bind "$KERNEL/lib/modules/$release" /lib/modules/$release
  modprobe configfs
  mount -t configfs configfs /sys/kernel/config
  mount -t debugfs debugfs /sys/kernel/debug
  # A pause of an application may last as long as a take-over may take.
  echo 60 >/proc/sys/kernel/hung_task_timeout_secs
  hostname vm
  ip link set lo up
  ulimit -n 65536
  for module in $MODULES; do
    modprobe $module || { echo "the module $module cannot be loaded"; return 1; }
  done
}

port() {
  for entry in /sys/class/virtio-ports/*; do
    read -r name <$entry/name
    [ $name != $1 ] || { echo /dev/${entry##*/}; return; }
  done
}

# Through pipes, so that the command may open /dev/stdout again.
run() {
  for name in out err report; do
    mkfifo /run/vm/$name
    { cat /run/vm/$name >$(port $name); : >/run/vm/$name.end; } &
  done
  exec 3>/run/vm/report
  /bin/sh /run/vm/command </dev/null >/run/vm/out 2>/run/vm/err
  code=$?
  exec 3>&-
  # A process that the command left behind may hold them open for ever.
  tries=0
  until [ -e /run/vm/out.end ] && [ -e /run/vm/err.end ] && [ -e /run/vm/report.end ] || [ $tries = 20 ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
}

if [ "${1-}" != guest ]; then
  bring_files
  echo 'init: the files of the host cannot be mounted'
  echo b >/proc/sysrq-trigger
fi
for tool in cat hostname ip ln mkdir mkfifo modprobe mount sleep uname; do alias $tool="/run/vm/busybox $tool"; done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
. /run/vm/settings
exec 4>$(port status)
if prepare 2>&1; then
  echo ready >&4
  run
  echo "exit $code" >&4
fi
# With -no-reboot this ends QEMU at once.
echo b >/proc/sysrq-trigger
