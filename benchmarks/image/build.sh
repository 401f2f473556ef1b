#!/bin/sh
# Build the image of the benchmarks and save it as a docker-archive.
#
#   benchmarks/image/build.sh [DIRECTORY]          default: build/benchmark beside the sources
#
# DIRECTORY/image.tar is the result, DIRECTORY/packages.txt the Debian packages inside.  What is there already is kept:
# remove it to build again.  Needs root on Debian 12 with docker.io, debootstrap and pip; DOCKER_HOST names a running
# dockerd, otherwise one is started for the build and stopped afterwards.
# DEBIAN_MIRROR names the archive debootstrap and apt use (a snapshot pins every package); the default is debootstrap's own.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${OCCY_FAST_BENCHMARK_DIR:-$here/../../build/benchmark}}
name=occy-fast-benchmark:1
python=${PYTHON:-python3}
# The client that came with the daemon, where the machine has several.
docker=${DOCKER:-$([ -x /usr/bin/docker ] && echo /usr/bin/docker || echo docker)}

mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/lock"
flock 9
if [ -s "$out/image.tar" ]; then
    echo "$out/image.tar is there already" >&2
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "the image is built as root: debootstrap and dockerd need it" >&2
    exit 1
fi
missing=
for tool in "$docker" dockerd debootstrap "$python"; do
    command -v "$tool" >/dev/null || missing="$missing ${tool##*/}"
done
if [ -n "$missing" ]; then
    echo "missing on this machine:$missing; apt-get install --no-install-recommends docker.io debootstrap python3-pip" >&2
    exit 1
fi

scratch=$(mktemp -d "$out/build.XXXXXX")
dockerd_pid=
finish() {
    [ -z "$dockerd_pid" ] || { kill "$dockerd_pid"; wait "$dockerd_pid" || true; }
    # debootstrap and dockerd may leave something mounted, which must not be emptied with the directory.
    awk -v under="$scratch/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM
context=$scratch/context
mkdir "$context"

if [ ! -s "$out/debian.tar" ]; then
    echo "Debian 12 by debootstrap" >&2
    debootstrap --variant=minbase bookworm "$scratch/rootfs" ${DEBIAN_MIRROR:-} >"$out/debootstrap.log" 2>&1 || {
        tail -5 "$out/debootstrap.log" >&2
        exit 1
    }
    rm -rf "$scratch"/rootfs/var/lib/apt/lists/* "$scratch"/rootfs/var/cache/apt/* "$scratch"/rootfs/var/log/* "$scratch"/rootfs/dev/*
    tar --create --file "$out/debian.tar.new" --numeric-owner --sort=name --mtime=@0 --directory "$scratch/rootfs" .
    mv "$out/debian.tar.new" "$out/debian.tar"
    rm -rf "$scratch/rootfs"
fi

echo "wheels, by hash" >&2
"$python" -m pip download --quiet --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform any \
    --dest "$out/wheels" --requirement "$here/requirements.txt"

if [ -z "${DOCKER_HOST:-}" ]; then
    dockerd --iptables=false --bridge=none --data-root "$scratch/data" --exec-root "$scratch/exec" \
        -H "unix://$scratch/docker.sock" -p "$scratch/dockerd.pid" >"$out/dockerd.log" 2>&1 &
    dockerd_pid=$!
    export DOCKER_HOST="unix://$scratch/docker.sock"
    tries=0
    until "$docker" version >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 120 ] || ! kill -0 "$dockerd_pid" 2>/dev/null; then
            echo "dockerd does not start; $out/dockerd.log ends:" >&2
            tail -5 "$out/dockerd.log" >&2
            exit 1
        fi
        sleep 0.5
    done
fi

cp "$here/Dockerfile" "$here/requirements.txt" "$here/report.py" "$context/"
ln "$out/debian.tar" "$context/" 2>/dev/null || cp "$out/debian.tar" "$context/"
cp -r "$out/wheels" "$context/wheels"
echo "docker build" >&2
DOCKER_BUILDKIT=0 "$docker" build --network host --tag "$name" "$context" >"$out/build.log" 2>&1 || {
    tail -20 "$out/build.log" >&2
    exit 1
}
"$docker" run --rm --network none "$name" >&2
"$docker" run --rm --network none "$name" dpkg-query --show >"$out/packages.txt"
"$docker" save --output "$out/image.tar.new" "$name"
chmod 644 "$out/image.tar.new"
mv "$out/image.tar.new" "$out/image.tar"
ls -l "$out/image.tar" >&2
