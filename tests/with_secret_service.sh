#!/bin/sh
# Run a command with a real, unlocked Secret Service of its own, for instance:
#     tests/with_secret_service.sh pytest
# Needs: apt-get install -y --no-install-recommends gnome-keyring dbus
set -eu

for program in dbus-run-session gnome-keyring-daemon; do
    command -v "$program" >/dev/null || { echo "$0: $program is not installed" >&2; exit 127; }
done

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
mkdir -m 700 "$room/home" "$room/run" "$room/data"

# The session sees nothing of the user: none of their keyrings is touched, no prompt is shown.
unset DBUS_SESSION_BUS_ADDRESS DISPLAY WAYLAND_DISPLAY GNOME_KEYRING_CONTROL SSH_AUTH_SOCK
unset XDG_CONFIG_HOME PYTHON_KEYRING_BACKEND VTUNE_VAULT VTUNE_VAULT_PASSPHRASE
export HOME="$room/home" XDG_RUNTIME_DIR="$room/run" XDG_DATA_HOME="$room/data"
export VTUNE_TEST_SECRET_SERVICE=1

# The first unlock of a fresh home makes the login collection, with the password given to it.
dbus-run-session -- sh -c '
    echo ci | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
    exec "$@"' sh "$@"
