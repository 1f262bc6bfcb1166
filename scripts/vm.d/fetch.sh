# Sourced by scripts/vm: finds, downloads and unpacks one kernel series. Nothing of the host's own apt state changes.

# Debian's name of the architecture that a series is for: 6.1 is amd64's, 6.1-arm64 the other's.
architecture() { case $1 in *-arm64*) echo arm64 ;; *) echo amd64 ;; esac; }
# There is no cloud's kernel with large pages.
flavour() { case $1 in *-16k) echo "$(architecture "$1")-16k" ;; *) echo "cloud-$(architecture "$1")" ;; esac; }

# The Debian mirror this machine's own apt uses, whichever of apt's two styles names it.
mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | head -n 1 | grep . ||
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m 1 -E '/debian/?$'
}

# private_apt STATE COMMAND… : apt with its own sources, lists and package state below STATE, for the architecture that STATE/architecture names.
private_apt() {
  local state=$1 command=$2 architecture
  architecture=$(cat "$state/architecture" 2>/dev/null || echo amd64)
  shift 2
  "$command" -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferencesparts=/dev/null -o Dir::Etc::preferences=/dev/null \
    -o "Dir::State=$state" -o "Dir::State::Lists=$state/lists" -o "Dir::State::status=$state/status" \
    -o "Dir::Cache=$state/cache" -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root \
    -o "APT::Architectures=$architecture" -o "APT::Architecture=$architecture" \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# Every package that makes up the newest kernel of a series: image alone, or from 7.x on binary, modules and base
# (the lists of what is built in).
newest_packages() {
  local state=$1 series=$2 names release version=${2%%-arm64*}
  names=$(private_apt "$state" apt-cache pkgnames linux- | grep -E -- "^linux-(image|binary|modules|base)-${version//./\\.}\.[^-]*(-[0-9]+)?-$(flavour "$series")\$")
  release=$(sed -E 's/^linux-(image|binary|modules|base)-//' <<<"$names" | sort -V | tail -n 1)
  grep -F -x -e "linux-image-$release" -e "linux-binary-$release" -e "linux-modules-$release" -e "linux-base-$release" <<<"$names"
}

# read_suite STATE SUITE ARCHITECTURE SITE : the index of one suite, below STATE. Fails where it can't be read, having said so.
read_suite() {
  local state=$1 suite=$2 architecture=$3 site=$4 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  : >"$state/status"
  echo "$architecture" >"$state/architecture"
  # Signatures are always checked. Debian's keyring package holds the keys of every suite named here, also of
  # older ones; where it is not installed apt falls back to the keys it trusts for the machine itself.
  if [ -e "$keyring" ]; then
    echo "deb [arch=$architecture signed-by=$keyring] $site $suite main" >"$state/sources.list"
  else
    echo "deb [arch=$architecture] $site $suite main" >"$state/sources.list"
  fi
  private_apt "$state" apt-get -qq -o APT::Update::Error-Mode=any update >"$state/log" 2>&1 && return
  if grep -q NO_PUBKEY "$state/log"; then
    say "$suite is signed with a key that is not in $keyring: upgrade the package debian-archive-keyring"
  else
    say "$suite cannot be read: $(grep -m 1 -E '^(E|W):' "$state/log" || tail -n 1 "$state/log")"
  fi
  return 1
}

# unpack ROOT DEB… : into a root whose /lib is usr/lib.
unpack() {
  local root=$1 deb
  shift
  for deb in "$@"; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink; done
}

# fetch_kernel SERIES FOLDER SUITE… : leaves FOLDER/{vmlinuz,release,suite,root/lib/modules}.
# Returns 75 when no suite holds the series any more, 1 when the download itself failed.
fetch_kernel() {
  local series=$1 folder=$2 work=$2.new.$$ site suite packages release
  shift 2
  site=$(mirror) || fail 3 "no Debian mirror in this machine's apt configuration (apt-get indextargets names none)"
  rm -rf "$work"
  mkdir -p "$work/root/usr/lib" "$work/debs"
  ln -s usr/lib "$work/root/lib"
  for suite in "$@"; do
    # A state folder of its own for each process: two fetches at once do not meet on a lock.
    local state=$work/apt-$suite
    read_suite "$state" "$suite" "$(architecture "$series")" "$site" || continue
    packages=$(newest_packages "$state" "$series") || continue
    # shellcheck disable=SC2086
    (cd "$work/debs" && private_apt "$state" apt-get -qq download $packages) || fail 1 "downloading $packages failed"
    break
  done
  if [ -z "${packages:-}" ]; then
    rm -rf "$work"
    return 75
  fi
  unpack "$work/root" "$work"/debs/*.deb
  release=$(cd "$work/root/lib/modules" && echo *)
  mv "$(find "$work/root" -name "vmlinuz*" -type f | head -n 1)" "$work/vmlinuz"
  cp "$(find "$work/root" -name "config*" -type f \( -path "*/boot/*" -o -path "*/modules/*" \) | head -n 1)" "$work/config"
  depmod -b "$work/root" "$release"
  echo "$release" >"$work/release"
  echo "$suite" >"$work/suite"
  rm -rf "$work/debs" "$work"/apt-* "$work/root/usr/share" "$work/root/boot"
  rm -rf "$folder"
  mv -T "$work" "$folder"
}
