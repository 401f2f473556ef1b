#!/bin/bash
# The real daemons and tools of tests/interop.
#
#   services.sh [install]        as root on Debian, install with apt what is missing
#   services.sh start DIRECTORY  the same, then start what does not run, and print where everything is as NAME=value
#   services.sh stop DIRECTORY   stop all that was started there, and remove the directory
#
# Each may be run again and then changes nothing.  The directory's path must be short: a socket's name has at most 107
# bytes.  What cannot run here prints NAME_MISSING=reason instead.
set -uo pipefail

state=${2:-}
marker=$state/made-by-occy-fast

packages() {
    local -A needed=(
        [/usr/bin/docker]=docker.io [/usr/sbin/dockerd]=docker.io [/usr/bin/podman]=podman [/usr/sbin/runc]=runc
        [/usr/bin/skopeo]=skopeo [/usr/bin/umoci]=umoci [/usr/bin/docker-registry]=docker-registry [/usr/bin/strace]=strace
    )
    local missing=() file
    for file in "${!needed[@]}"; do
        [ -x "$file" ] || command -v "${file##*/}" >/dev/null || missing+=("${needed[$file]}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "not on this machine: ${missing[*]} (as root on Debian, this script installs them)" >&2
        return 0
    fi
    echo "installing ${missing[*]}" >&2
    # A package starts its own daemon unless this says no; the tests use daemons of their own.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        made=1
    fi
    local told
    told=$({
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    } 2>&1 </dev/null) || tail -5 <<<"$told" >&2
    [ -z "$made" ] || rm -f $policy
}

# A daemon of the same name elsewhere on PATH may be another version than the distribution's.
tool() {
    local path
    for path in "/usr/bin/$1" "/usr/sbin/$1"; do
        [ -x "$path" ] && { echo "$path"; return 0; }
    done
    command -v "$1"
}

alive() { [ -s "$state/$1.pid" ] && kill -0 "$(cat "$state/$1.pid")" 2>/dev/null; }

# daemon NAME PROBE... -- COMMAND...: run COMMAND until PROBE succeeds
daemon() {
    local name=$1 probe=() tries=0
    shift
    while [ "$1" != -- ]; do probe+=("$1"); shift; done
    shift
    if ! alive "$name"; then
        rm -f "$state/$name.pid"
        setsid "$@" >"$state/$name.log" 2>&1 </dev/null 9>&- &
        echo $! >"$state/$name.pid"
    fi
    until "${probe[@]}" >/dev/null 2>&1 9>&-; do
        tries=$((tries + 1))
        if [ $tries -gt 240 ] || ! alive "$name"; then
            echo "$name does not start: $(tail -1 "$state/$name.log" | tr -d '"' | cut -c1-200)"
            return 1
        fi
        sleep 0.25
    done
}

say() { printf '%s=%s\n' "$1" "$2" >>"$state/env.new"; }

start_docker() {
    local docker dockerd why socket=unix://$state/docker.sock
    docker=$(tool docker) && dockerd=$(tool dockerd) || { say DOCKER_MISSING "docker.io is not installed"; return; }
    [ "$(id -u)" = 0 ] || { say DOCKER_MISSING "dockerd needs root"; return; }
    if why=$(daemon dockerd "$docker" -H "$socket" version -- "$dockerd" --iptables=false --bridge=none \
        --data-root "$state/docker" --exec-root "$state/docker-exec" -H "$socket" -p "$state/docker.pidfile"); then
        say DOCKER "$docker"
        say DOCKER_HOST "$socket"
    else
        say DOCKER_MISSING "$why"
    fi
}

start_podman() {
    local podman why
    podman=$(tool podman) || { say PODMAN_MISSING "podman is not installed"; return; }
    [ "$(id -u)" = 0 ] || { say PODMAN_MISSING "podman is only tried as root"; return; }
    # crun refuses machines that mount both versions of cgroups; runc runs on all.
    local options="--root $state/podman --runroot $state/podman-run --storage-driver vfs --runtime runc"
    options+=" --cgroup-manager cgroupfs --events-backend file"
    # shellcheck disable=SC2086
    if why=$(daemon podman test -S "$state/podman.sock" -- \
        "$podman" $options system service -t 0 "unix://$state/podman.sock"); then
        say PODMAN "$podman $options"
        say PODMAN_SOCKET "$state/podman.sock"
    else
        say PODMAN_MISSING "$why"
    fi
}

start_registry() {
    local registry port why
    registry=$(tool docker-registry) || { say REGISTRY_MISSING "docker-registry is not installed"; return; }
    if ! alive registry; then
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        echo "$port" >"$state/registry.port"
        cat >"$state/registry.yml" <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $state/registry}}
http: {addr: "127.0.0.1:$port"}
YML
    fi
    port=$(cat "$state/registry.port")
    if why=$(daemon registry bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" -- \
        "$registry" serve "$state/registry.yml"); then
        say REGISTRY "127.0.0.1:$port"
    else
        say REGISTRY_MISSING "$why"
    fi
}

# A program that needs nothing else is all an image needs.
static_busybox() {
    local file=$state/busybox
    if [ ! -x "$file" ]; then
        if [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; then
            cp /bin/busybox "$file"
        else
            (cd "$state" && apt-get download -qq busybox-static && dpkg -x busybox-static_*.deb unpacked) >"$state/busybox.log" 2>&1 &&
                cp "$state/unpacked/bin/busybox" "$file"
        fi
    fi
    if [ -x "$file" ]; then say BUSYBOX "$file"; else say BUSYBOX_MISSING "busybox-static cannot be fetched"; fi
}

start() {
    mkdir -p "$state" && touch "$marker" || exit 1
    exec 9>"$state/lock"
    flock 9
    packages
    : >"$state/env.new"
    static_busybox
    start_docker
    start_podman
    start_registry
    local name path
    for name in skopeo umoci; do
        if path=$(tool $name); then say ${name^^} "$path"; else say ${name^^}_MISSING "$name is not installed"; fi
    done
    mv "$state/env.new" "$state/env"
    cat "$state/env"
}

stop() {
    [ -e "$marker" ] || { echo "nothing runs in $state" >&2; return; }
    local name pid
    for name in registry podman dockerd; do
        alive $name || continue
        pid=$(cat "$state/$name.pid")
        kill "$pid"
        for _ in $(seq 120); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.25
        done
    done
    # What a killed container left mounted must not be emptied with the directory.
    awk -v under="$(realpath "$state")/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount
    rm -rf "$state"
}

case "${1:-install} $#" in
    "install "[01]) packages ;;
    "start 2") start ;;
    "stop 2") stop ;;
    *) sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
