#!/bin/bash
# Proves the README's two commands on a fresh machine: a Debian minbase with git and the machine's own Node, and nothing else
# (no compiler, no nats-server, no Postgres), in mount and pid namespaces of its own. Needs root. Touches only the user's cache.
#
#   test/fresh-machine.sh [bookworm|trixie] [-- command …]      default command: npm start -- --once && npm test
set -euo pipefail

suite=bookworm
case ${1:-} in ''|--) ;; *) suite=$1; shift ;; esac
[ "${1:-}" = -- ] && shift
command=${*:-npm start -- --once && npm test}

repository=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nsfleet/fresh
base=$cache/base-$suite-$(dpkg --print-architecture).tar
say() { printf 'fresh-machine: %s\n' "$*" >&2; }
[ "$(id -u)" = 0 ] || { say 'debootstrap needs root'; exit 1; }
mkdir -p -m 0700 "$cache"

# npm puts the checkout's Node first on PATH; a fresh machine has only its own.
PATH=$(printf %s "$PATH" | tr : '\n' | grep -v node_modules | paste -sd:)
node=$(readlink -f "$(command -v node)")
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")

machine_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" && $4 == "main" { print $1; exit }'
}

find_debootstrap() {
  if command -v debootstrap >/dev/null; then return; fi
  if [ ! -x "$cache/debootstrap/usr/sbin/debootstrap" ]; then
    say 'unpacking debootstrap into the cache'
    (mkdir -p "$cache/deb" && cd "$cache/deb" && apt-get -q download debootstrap >&2 && dpkg-deb -x debootstrap_*.deb "$cache/debootstrap")
    rm -rf "$cache/deb"
  fi
  export DEBOOTSTRAP_DIR=$cache/debootstrap/usr/share/debootstrap
  PATH=$cache/debootstrap/usr/sbin:$PATH
}

make_base() {
  local mirror root=$cache/base.new-$$
  mirror=$(machine_mirror)
  [ -n "$mirror" ] || { say 'this machine’s apt configuration names no Debian mirror'; exit 1; }
  find_debootstrap
  say "debootstrap of $suite minbase from $mirror (once; kept in $base)"
  trap 'rm -rf "$root" "$base.new"' EXIT
  # In namespaces of its own, so that what it mounts goes with it.
  unshare --mount --pid --fork --kill-child -- debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$root" "$mirror" >"$cache/debootstrap.log" ||
    { tail -n 20 "$cache/debootstrap.log" >&2; exit 1; }
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" --one-file-system -cf "$base.new" .
  mv "$base.new" "$base"
  rm -rf "$root"
  trap - EXIT
}

[ -f "$base" ] || make_base
root=$(mktemp -d "$cache/root.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
say "unpacking a fresh $suite into $root"
tar -C "$root" -xf "$base"
install -D -m 0755 "$node" "$root/usr/bin/node"
mkdir -p "$root/usr/lib/node_modules" "$root/mnt/repository" "$root/mnt/old"
cp -a "$npm" "$root/usr/lib/node_modules/npm"
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/bin/npx"
# How this machine reaches its mirrors and registry: never in the repository, only here.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/apt/apt.conf.d/*artifact* /etc/apt/apt.conf.d/*proxy* /etc/apt/auth.conf.d/*; do
  [ -f "$file" ] && install -D -m 0600 "$file" "$root$file"
done
for file in "$HOME/.npmrc" "$(dirname "$(dirname "$node")")/etc/npmrc" /etc/npmrc; do
  [ -f "$file" ] && cat "$file" >>"$root/root/.npmrc"
done
echo fresh >"$root/etc/hostname"

cat >"$root/mnt/inside" <<INSIDE
set -eu
cd /root
git -c safe.directory='*' clone -q --no-hardlinks /mnt/repository nsfleet
cd nsfleet
echo "fresh-machine: \$(. /etc/os-release; echo \$PRETTY_NAME), Node \$(node --version), npm \$(npm --version 2>/dev/null), commit \$(git rev-parse --short HEAD)"
for tool in cc gcc clang make nats-server postgres psql; do ! command -v \$tool || { echo "\$tool is here: not a fresh machine"; exit 1; }; done
$command
# This shell is process 1: whatever else runs, it was left. Orphans that ended are zombies until it ends.
left=0
for status in /proc/[0-9]*/status; do
  [ "\$status" != /proc/1/status ] || continue
  name=; state=
  { while read -r key value; do case \$key in Name:) name=\$value ;; State:) state=\$value ;; esac; done <"\$status"; } 2>/dev/null || continue
  case \$state in Z*|X*|'') ;; *) echo "fresh-machine: left running: \$status \$name (\$state)"; left=1 ;; esac
done
[ \$left = 0 ] || exit 1
INSIDE

# A change of root by chroot alone would make the kernel refuse user namespaces (user_namespaces(7)): the root mount itself is changed.
status=0
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 \
  NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
  unshare --mount --pid --fork --kill-child -- sh -euc '
    root=$1 repository=$2
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount --bind "$repository" "$root/mnt/repository"
    mount -o remount,bind,ro "$root/mnt/repository"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
    mkdir "$root/dev/shm" "$root/dev/pts"; mount -t tmpfs tmpfs "$root/dev/shm"; mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
    cd "$root"; pivot_root . mnt/old; umount -l /mnt/old; cd /
    exec sh /mnt/inside
  ' sh "$root" "$repository" </dev/null || status=$?
say "ended with $status"
exit $status
