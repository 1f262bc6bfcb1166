# Sourced: puts a Node ≥20.15 first in PATH, also under sudo, whose secure_path hides the user's own.
# Afterwards koala_node says whether there is one (empty: none). KOALA_NODE names one by hand.

koala_node_fits() { # PATH-OF-NODE
  [ -x "$1" ] && "$1" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 15) ? 0 : 1)' 2>/dev/null
}

koala_find_node() {
  local project home candidate
  project=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
  home=$HOME
  [ -n "${SUDO_USER:-}" ] && home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
  for candidate in "${KOALA_NODE:-}" "$(command -v node || true)" "$home"/.nvm/versions/node/*/bin/node "$home"/.volta/bin/node \
    "$home"/.local/share/fnm/node-versions/*/installation/bin/node "$home"/.asdf/installs/nodejs/*/bin/node \
    "$home"/.local/bin/node /usr/local/bin/node /usr/bin/node /opt/*/bin/node "$project"/build/node/node_modules/node/bin/node; do
    if [ -n "$candidate" ] && koala_node_fits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
}

koala_node=$(koala_find_node)
if [ -n "$koala_node" ] && [ "$(command -v node || true)" != "$koala_node" ]; then
  PATH=$(dirname "$koala_node"):$PATH
  export PATH
fi
