#!/bin/bash
# The real daemons and tools of tests/interop.
#
#   services.sh [install]        as root on Debian, install with apt what is missing, and a tree of Debian 13
#   services.sh start DIRECTORY  the same, then start what does not run, and print where everything is as NAME=value
#   services.sh stop DIRECTORY   stop all that was started there, and remove the directory
#
# Each may be run again and then changes nothing.  The directory's path must be short: a socket's name has at most 107
# bytes.  What cannot run here prints NAME_MISSING=reason instead.
#
# The newer daemons and tools (dockerd 26.1, podman 5.4, skopeo 1.18) come from a tree of Debian 13 that debootstrap
# makes once, below build/ or where OCCY_FAST_TRIXIE says.  `stop` leaves it.
set -uo pipefail

state=${2:-}
marker=$state/made-by-occy-fast
tree=$(realpath -m "${OCCY_FAST_TRIXIE:-$(dirname "$0")/../../build/trixie}")

packages() {
    local -A needed=(
        [/usr/bin/docker]=docker.io [/usr/sbin/dockerd]=docker.io [/usr/bin/podman]=podman [/usr/sbin/runc]=runc
        [/usr/bin/skopeo]=skopeo [/usr/bin/umoci]=umoci [/usr/bin/docker-registry]=docker-registry [/usr/bin/strace]=strace
        [/usr/sbin/debootstrap]=debootstrap
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

# Installed aside and renamed when whole: what an interrupted run left is no tree.  The mounts end with their namespace.
newer_tree() {
    [ ! -x "$tree/usr/sbin/dockerd" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
        echo "no tree of Debian 13 in $tree: debootstrap, as root, makes it" >&2
        return 0
    fi
    mkdir -p "$(dirname "$tree")" || return 0
    echo "installing a tree of Debian 13 in $tree" >&2
    rm -rf "$tree.part"
    if unshare --mount --propagation private sh -c '
        set -e
        debootstrap --variant=minbase trixie "$0"
        printf "#!/bin/sh\nexit 101\n" >"$0/usr/sbin/policy-rc.d"
        chmod +x "$0/usr/sbin/policy-rc.d"
        mountpoint -q "$0/proc" || mount --bind /proc "$0/proc"
        DEBIAN_FRONTEND=noninteractive chroot "$0" apt-get install -y -qq --no-install-recommends \
            docker.io docker-cli containerd runc podman skopeo iptables ca-certificates
        rm -rf "$0"/var/cache/apt/archives/*.deb
        ' "$tree.part" >"$tree.log" 2>&1 </dev/null; then
        mv "$tree.part" "$tree"
    else
        tail -5 "$tree.log" >&2
    fi
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

# Write $state/newer, which runs a command with the tree's programs: in a mount namespace of the command's own, the tree's
# /usr and /etc stand over this machine's, and every other path is the same inside and outside.  Both podmans keep locks
# in /run and /dev/shm, so the newer ones have their own.
newer_command() {
    mkdir -p "$state/newer-run" "$state/newer-shm"
    cat >"$state/newer" <<SH
#!/bin/sh
exec unshare --mount --propagation private /bin/sh -ec '
    mount --bind "$state/newer-run" /run
    mount --bind "$state/newer-shm" /dev/shm
    mount --bind "$tree/etc" /etc
    mount --bind "$tree/usr" /usr
    exec "\$@"' newer "\$@"
SH
    chmod +x "$state/newer"
    "$state/newer" /usr/sbin/dockerd --version
}

# start_newer_docker NAME STORE: dockerd with "graph" or "containerd" as what its images are kept in
start_newer_docker() {
    local name=$1 store=$2 why socket=unix://$state/docker26-$2.sock features={}
    [ "$store" = graph ] || features='{"features": {"containerd-snapshotter": true}}'
    echo "$features" >"$state/docker26-$store.json"
    if why=$(daemon "dockerd26-$store" "$state/newer" docker -H "$socket" version -- "$state/newer" /usr/sbin/dockerd \
        --config-file "$state/docker26-$store.json" --iptables=false --ip6tables=false --bridge=none \
        --insecure-registry 127.0.0.0/8 --data-root "$state/docker26-$store" --exec-root "$state/docker26-$store-exec" \
        -H "$socket" -p "$state/docker26-$store.pidfile"); then
        say "$name" "$state/newer docker"
        say "${name}_HOST" "$socket"
    else
        say "${name}_MISSING" "$why"
    fi
}

start_newer_podman() {
    local why options="--root $state/podman5 --runroot $state/podman5-run --storage-driver vfs --runtime runc"
    options+=" --cgroup-manager cgroupfs --events-backend file"
    # shellcheck disable=SC2086
    if why=$(daemon podman5 test -S "$state/podman5.sock" -- \
        "$state/newer" podman $options system service -t 0 "unix://$state/podman5.sock"); then
        say PODMAN5 "$state/newer podman $options"
        say PODMAN5_SOCKET "$state/podman5.sock"
    else
        say PODMAN5_MISSING "$why"
    fi
}

start_newer() {
    local name why=
    if [ "$(id -u)" != 0 ]; then
        why="the newer daemons need root"
    elif [ ! -x "$tree/usr/sbin/dockerd" ]; then
        why="there is no tree of Debian 13 in $tree"
    elif ! newer_command >"$state/newer.log" 2>&1; then
        why="the tree of Debian 13 cannot be mounted: $(tail -1 "$state/newer.log" | tr -d '"' | cut -c1-200)"
    fi
    if [ -n "$why" ]; then
        for name in DOCKER26 DOCKER26_CONTAINERD PODMAN5 SKOPEO118; do say "${name}_MISSING" "$why"; done
        return
    fi
    start_newer_docker DOCKER26 graph
    start_newer_docker DOCKER26_CONTAINERD containerd
    start_newer_podman
    say SKOPEO118 "$state/newer skopeo"
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

# One at a time on a machine: apt-get has one lock, and whoever comes second finds everything there.
install() {
    exec 7>/tmp/occy-fast-services.lock
    flock 7
    packages
    newer_tree
    exec 7>&-
}

start() {
    mkdir -p "$state" && touch "$marker" || exit 1
    exec 9>"$state/lock"
    flock 9
    install
    : >"$state/env.new"
    static_busybox
    start_docker
    start_podman
    start_registry
    start_newer
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
    for name in registry podman dockerd podman5 dockerd26-graph dockerd26-containerd; do
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
    "install "[01]) install ;;
    "start 2") start ;;
    "stop 2") stop ;;
    *) sed -n '3,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
