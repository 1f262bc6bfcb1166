# Sourced by scripts/vm: the part of the initramfs that depends on the kernel alone (busybox and a few modules).
# Linux unpacks archives that follow each other, so each run adds its own small one with init and the job.

# What the first root needs before it can see the host's files, and the ports the output leaves by.
readonly boot_modules='virtio_pci virtiofs overlay virtio_console virtio_rng'

# kernel_initramfs FOLDER BUSYBOX : writes FOLDER/initramfs unless it is there. Modules are unpacked, in loading order.
kernel_initramfs() {
  local folder=$1 busybox=$2 release tree module path number=100
  [ -e "$folder/initramfs" ] && return
  release=$(cat "$folder/release")
  tree=$(mktemp -d "$folder/tree.XXXXXX")
  mkdir -p "$tree"/{bin,modules,proc,sys,dev,host,project,upper,root}
  cp "$busybox" "$tree/bin/busybox"
  for module in $boot_modules; do
    modprobe -d "$folder/root" -S "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
  done | awk '!seen[$0]++' >"$tree.list"
  while read -r path; do
    local target
    target=$tree/modules/$number-$(basename "$path" | sed 's/\.ko.*/.ko/')
    case $path in
      *.xz) xz -dc "$path" >"$target" ;;
      *.zst) zstd -qdc "$path" >"$target" ;;
      *.gz) gzip -dc "$path" >"$target" ;;
      *) cp "$path" "$target" ;;
    esac
    number=$((number + 1))
  done <"$tree.list"
  (cd "$tree" && find . | cpio --quiet -o -H newc) >"$tree.cpio"
  mv "$tree.cpio" "$folder/initramfs"
  rm -rf "$tree" "$tree.list"
}
