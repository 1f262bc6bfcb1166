# Sourced by scripts/vm: the userland of a guest of another architecture than the host's, from Debian's packages, npm's `node` and the
# native part of koffi. Nothing of it is run on the host.

# What tests and the recorder call. Their dependencies come along.
readonly foreign_packages='bash coreutils sed grep findutils util-linux procps busybox-static python3 curl libbpf1 libstdc++6 libatomic1 iproute2 iptables kmod'
readonly foreign_suite=bookworm

# npm_unpack NAME@VERSION FOLDER : the files of one npm package, no scripts run.
npm_unpack() {
  local package=$1 folder=$2
  mkdir -p "$folder"
  (cd "$folder" && npm pack --silent "$package" >/dev/null && tar -xz --strip-components=1 -f ./*.tgz && rm ./*.tgz) || fail 1 "downloading $package failed"
}

# foreign_root ARCHITECTURE FOLDER : leaves a root in FOLDER. The versions of node and koffi are the host's and the project's own.
foreign_root() {
  local architecture=$1 folder=$2 work=$2.new.$$ site koffi
  site=$(mirror) || fail 3 "no Debian mirror in this machine's apt configuration (apt-get indextargets names none)"
  rm -rf "$work"
  mkdir -p "$work"/{apt,root/usr/bin,root/usr/sbin,root/usr/lib,root/etc,root/root,root/var/tmp,root/proc,root/sys,root/dev,root/run,root/tmp,root/usr/local/bin}
  local name
  for name in bin sbin lib; do ln -s "usr/$name" "$work/root/$name"; done
  read_suite "$work/apt" "$foreign_suite" "$architecture" "$site" || fail 1 "no userland for $architecture"
  # shellcheck disable=SC2086
  private_apt "$work/apt" apt-get -qq --yes --no-install-recommends --download-only install $foreign_packages >"$work/apt/log" 2>&1 ||
    fail 1 "downloading the userland for $architecture failed: $(tail -n 1 "$work/apt/log")"
  unpack "$work/root" "$work"/apt/cache/archives/*.deb
  # What their installation would have made.
  ln -sf bash "$work/root/usr/bin/sh"
  [ -e "$work/root/usr/sbin/iptables" ] || ln -s iptables-nft "$work/root/usr/sbin/iptables"
  echo 'root:x:0:0:root:/root:/bin/bash' >"$work/root/etc/passwd"
  echo 'root:x:0:' >"$work/root/etc/group"
  echo '127.0.0.1 localhost' >"$work/root/etc/hosts"
  npm_unpack "node-linux-$architecture@$(node -p process.versions.node)" "$work/node"
  mv "$work/node/bin/node" "$work/root/usr/local/bin/node"
  # Where require() looks last: the project's own node_modules hold the host's.
  koffi=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).version' "$project/node_modules/koffi/package.json")
  npm_unpack "@koromix/koffi-linux-$architecture@$koffi" "$work/root/node_modules/@koromix/koffi-linux-$architecture"
  rm -rf "$folder"
  mv -T "$work/root" "$folder"
  rm -rf "$work"
}
