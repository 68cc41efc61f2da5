#!/bin/sh
# Starts the program of this script's own name from the folder `root` beside its own, with the libc and the libraries
# that it was built for.
root=${0%/bin/*}/root
name=${0##*/}
lib=$root/usr/lib/x86_64-linux-gnu
program=$root/usr/bin/$name
[ -e "$program" ] || program=$root/usr/sbin/$name
if [ "$name" = nbdkit ]; then
  # It would look for its parts where the machine's own nbdkit has them.
  for argument do
    shift
    filter=$lib/nbdkit/filters/nbdkit-${argument#--filter=}-filter.so
    plugin=$lib/nbdkit/plugins/nbdkit-$argument-plugin.so
    case $argument in
      --filter=*) [ -e "$filter" ] && argument=--filter=$filter ;;
      *) [ -e "$plugin" ] && argument=$plugin ;;
    esac
    set -- "$@" "$argument"
  done
fi
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$lib" "$program" "$@"
