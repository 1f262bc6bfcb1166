# Sourced, with the project as the current folder: as_user CMD… runs CMD as the one who called sudo, if the checkout is
# theirs to write; else as we are. Under sudo the checkout belongs to its user, and so must what is built in it.
as_user() {
  if [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ] &&
    runuser -u "$SUDO_USER" -- test -w .; then
    runuser -u "$SUDO_USER" -- env HOME="$(getent passwd "$SUDO_USER" | cut -d: -f6)" PATH="$PATH" "$@"
  else
    "$@"
  fi
}
