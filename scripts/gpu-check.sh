#!/usr/bin/env bash
# Builds the library on a machine with an NVIDIA GPU, tests its kernels there and measures them. Needs nvcc, CMake, a
# C++ compiler and, for the benchmarks, a Python with torch; no Node and no network. See --help.
#
# The card's settings (clocks, power, modes) are left as they are: nothing here changes them.
set -u -o pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root" || exit 2

usage() {
  cat <<'TEXT'
scripts/gpu-check.sh [OPTION...] [STEP...]
Steps, in this order; without one: build test probe sanitize bench.
  build      libbince.so, libbince_cuda.so for the device at hand, and the tests
  test       the native tests with the backend "cuda" on the device
  probe      the layout of mma fragments, element by element
  sanitize   a few tests under compute-sanitizer: memcheck, racecheck, initcheck, synccheck
  bench      contrastive, entropy and coding, each also a step of its own
  tune       times the tile shapes of the contrastive kernels
  all        everything
Options:
  --out FOLDER     logs and results (bench/results; with --simulate out/ in the build folder)
  --build FOLDER   where to build (build-gpu; with --simulate build-simulated)
  --arch NAME      architecture to compile for, as CMake names it (of the device: 90a-real on an H100)
  --quick          fewer cases and tools, shorter timings
  --minutes N      start nothing that does not fit these minutes in all
  --bench-seconds N  no new case of a benchmark after this time (180)
  --simulate       no GPU: the simulator and tiny sizes, to test this script and the benchmarks
Environment: PYTHON names the Python of the benchmarks; BINCE_COMMIT the commit that results name, where git does not
know it. Ends with "N passed, N failed, N skipped" and 0, 1 where something failed, 2 where nothing could be run.
TEXT
}

fail_to_start() {
  echo "error: $1" >&2
  echo "hint: $2" >&2
  exit 2
}

out='' build='' arch='' quick='' simulate='' minutes=0 bench_seconds=180 steps=()
need_value() { [ $# -ge 2 ] || fail_to_start "$1 needs a value" "see --help"; }
need_number() {
  case "$2" in '' | *[!0-9]*) fail_to_start "$1: expected a whole number, received '$2'" "see --help" ;; esac
}
while [ $# -gt 0 ]; do
  case "$1" in
    --out) need_value "$@" && out="$2" && shift ;;
    --build) need_value "$@" && build="$2" && shift ;;
    --arch) need_value "$@" && arch="$2" && shift ;;
    --minutes) need_value "$@" && need_number "$@" && minutes="$2" && shift ;;
    --bench-seconds) need_value "$@" && need_number "$@" && bench_seconds="$2" && shift ;;
    --quick) quick=1 ;;
    --simulate) simulate=1 ;;
    -h | --help) usage && exit 0 ;;
    build | test | probe | sanitize | contrastive | entropy | coding | tune) steps+=("$1") ;;
    bench) steps+=(contrastive entropy coding) ;;
    all) steps+=(build test probe sanitize contrastive entropy coding tune) ;;
    *) fail_to_start "unknown argument '$1'" "see --help" ;;
  esac
  shift
done
[ ${#steps[@]} -gt 0 ] || steps=(build test probe sanitize contrastive entropy coding)

# Tests of the CPU alone, and of the simulator itself, say nothing about a device.
is_device_test() {
  case "$1" in augment_* | dense_* | dlpack_* | tensor_* | core_* | cusim_*) return 1 ;; *) return 0 ;; esac
}

# --- counting, time limits, Ctrl-C -----------------------------------------------------------------------------
passed=0 failed=0 skipped=0 table=() child='' scratch=''

note() { # STEP RESULT SECONDS TEXT: one line of the table at the end
  table+=("$(printf '%-36s %-8s %5s s  %s' "$1" "$2" "$3" "$4")")
  printf '  %-8s %s (%s s)%s\n' "$2" "$1" "$3" "${4:+: $4}"
}

close() {
  [ -n "$scratch" ] && rm -f "$scratch"
  echo
  [ ${#table[@]} -gt 0 ] && printf '%s\n' "${table[@]}"
  echo "$passed passed, $failed failed, $skipped skipped"
}

stop() {
  trap '' INT TERM
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null # timeout passes it on to all that it started
    wait "$child" 2>/dev/null
  fi
  failed=$((failed + 1))
  note stopped FAILED "$SECONDS" "interrupted"
  close
  exit 130
}
trap stop INT TERM

time_left() { if [ "$minutes" -gt 0 ]; then echo $((60 * minutes - SECONDS)); else echo 100000; fi; }

# LIMIT COMMAND...: runs it for at most LIMIT seconds, its output in $scratch; sets status and took.
limited() {
  local limit=$1 left
  shift
  left=$(time_left)
  [ "$left" -lt "$limit" ] && limit=$left
  : >"$scratch"
  if [ "$limit" -lt 5 ]; then
    status=125 took=0
    return
  fi
  local begun=$SECONDS
  timeout -k 5 "$limit" "$@" >"$scratch" 2>&1 &
  child=$!
  wait "$child"
  status=$?
  child=''
  took=$((SECONDS - begun))
}

keep() { { echo "== $1"; cat "$scratch"; } >>"$out/$2.log"; } # TITLE LOG: the output of the last command

reason() { # what the status of the last command means, beyond its own output
  case "$status" in
    124 | 137) echo "stopped after $took s" ;;
    125) echo "the time is up" ;;
    *) echo "exit status $status" ;;
  esac
}

show() { tail -"$1" "$scratch" | cut -c 1-220; } # LINES: of the last command's output; the log has all of it

# STEP LOG: counts the closing line "N passed, N failed, N skipped" of the last command.
tally() {
  local line
  keep "$1" "$2"
  line=$(grep -Eo '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$scratch" | tail -1)
  if [ "$status" -eq 125 ]; then
    skipped=$((skipped + 1)) && note "$1" skipped "$took" "the time is up"
  elif [ -z "$line" ]; then
    failed=$((failed + 1)) && note "$1" FAILED "$took" "no closing line: $(reason)"
    show 15
  else
    local numbers
    read -r -a numbers <<<"${line//[!0-9 ]/}"
    passed=$((passed + numbers[0])) skipped=$((skipped + numbers[2]))
    if [ "$status" -eq 0 ] && [ "${numbers[1]}" -eq 0 ]; then
      note "$1" ok "$took" "$line"
    else
      [ "${numbers[1]}" -gt 0 ] && failed=$((failed + numbers[1])) || failed=$((failed + 1))
      note "$1" FAILED "$took" "$line$([ "${numbers[1]}" -gt 0 ] || echo ", $(reason)")"
      show 15
    fi
  fi
}

# STEP LOG: one pass or failure by the exit status of the last command.
judge() {
  keep "$1" "$2"
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1)) && note "$1" ok "$took" "${3:-}"
  elif [ "$status" -eq 125 ]; then
    skipped=$((skipped + 1)) && note "$1" skipped "$took" "the time is up"
  else
    failed=$((failed + 1)) && note "$1" FAILED "$took" "$(reason)"
    show 25
  fi
  return "$status"
}

skip() { skipped=$((skipped + 1)) && note "$1" skipped 0 "$2"; }

# --- what the machine has --------------------------------------------------------------------------------------
command -v cmake >/dev/null || fail_to_start "CMake was not found" "install cmake and ninja"
find_python() { # MODULE: the first Python that has it
  local each
  for each in ${PYTHON:-} python3 /usr/bin/python3; do
    command -v "$each" >/dev/null && "$each" -c "import $1" 2>/dev/null && echo "$each" && return
  done
}

if [ -n "$simulate" ]; then
  build=${build:-build-simulated}
  out=${out:-$build/out}
  device="simulated"
  library="$root/$build/libbince_cusim.so"
  [ "${build#/}" = "$build" ] || library="$build/libbince_cusim.so"
  kernels=bince_cusim
  python=$(find_python numpy)
else
  build=${build:-build-gpu}
  out=${out:-bench/results}
  kernels=bince_cuda
  command -v nvidia-smi >/dev/null ||
    fail_to_start "no NVIDIA driver: nvidia-smi was not found" "run this on a machine with an NVIDIA GPU, or use --simulate"
  device=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>&1 | head -1) ||
    fail_to_start "nvidia-smi finds no device: $device" "check the driver with nvidia-smi"
  capability=${device##*, }
  case "$capability" in
    [0-9]*.[0-9]) ;;
    *) fail_to_start "nvidia-smi finds no device: $device" "check the driver with nvidia-smi" ;;
  esac
  [ "${capability%%.*}" -ge 8 ] ||
    fail_to_start "the device has compute capability $capability" "the kernels need 8.0 (A100) or later"
  if [ -z "$arch" ]; then # 9.0 by its own instructions, too
    if [ "$capability" = 9.0 ]; then arch=90a-real; else arch="${capability//./}-real"; fi
  fi
  if [ -z "${CUDACXX:-}" ] && ! command -v nvcc >/dev/null; then
    [ -x /usr/local/cuda/bin/nvcc ] ||
      fail_to_start "nvcc was not found" "install the CUDA toolkit (13.0 or later), or name its nvcc in CUDACXX"
    export CUDACXX=/usr/local/cuda/bin/nvcc
  fi
  library="$root/$build/libbince_cuda.so"
  [ "${build#/}" = "$build" ] || library="$build/libbince_cuda.so"
  python=$(find_python torch)
fi
folder=$(dirname "$library")
mkdir -p "$out" || fail_to_start "cannot write to $out" "name another folder with --out"
out=$(cd "$out" && pwd)
scratch=$(mktemp) || exit 2
export BINCE_CUDA_LIBRARY="$library" BINCE_LIBRARY="$folder/libbince.so" PYTHONUNBUFFERED=1
echo "device: $device; build: $build${arch:+ for $arch}; results: $out"

# --- the steps -------------------------------------------------------------------------------------------------
processors=$(nproc)

has_target() { cmake --build "$folder" --target help 2>/dev/null | grep -E "(^|[ /])$1(:|$)" >/dev/null; }

step_build() {
  local generator=() options=(-DBINCE_TESTS=ON) targets=(bince "$kernels") name
  command -v ninja >/dev/null && generator=(-G Ninja)
  if [ -n "$simulate" ]; then
    options+=(-DBINCE_CUDA=OFF)
  else
    options+=(-DBINCE_CUDA=ON "-DBINCE_CUDA_ARCHITECTURES=$arch" -DCMAKE_CUDA_FLAGS=--resource-usage)
  fi
  # With --simulate a folder that is configured stays as it is: it may be the one of the other tests.
  if [ -z "$simulate" ] || [ ! -e "$folder/CMakeCache.txt" ]; then
    limited 120 cmake -S "$root" -B "$folder" "${generator[@]}" "${options[@]}"
    judge configure build || return
  fi
  for name in test/native/*_test.cc; do
    name=$(basename "$name" .cc)
    is_device_test "$name" && targets+=("$name")
  done
  has_target mma_probe && targets+=(mma_probe)
  limited "$([ -n "$simulate" ] && echo 1500 || echo 300)" cmake --build "$folder" --parallel "$processors" --target "${targets[@]}"
  judge build build "$processors processors"
}

step_test() {
  local program name
  for program in "$folder"/tests/*_test; do
    name=$(basename "$program")
    is_device_test "$name" || continue
    [ -x "$program" ] || { skip "$name" "not built" && continue; }
    limited 150 env BINCE_TEST_BACKENDS=cuda "$program"
    tally "$name" test
  done
}

step_probe() {
  local probe
  probe=$(find "$folder" -name mma_probe -type f -perm -u+x 2>/dev/null | head -1)
  [ -n "$probe" ] || { skip probe "mma_probe is not built" && return; }
  limited 60 "$probe"
  tally mma_probe test
}

# PROGRAM FILTER: small tests that reach every kernel.
sanitized=(
  "contrastive_golden_test "
  "entropy_golden_test "
  "coding_blocks_test quantised"
  "coding_symbols_test worked_example"
  "coding_device_test "
  "device_memory_test "
)

step_sanitize() {
  local tools=(memcheck racecheck initcheck synccheck) tool line program filter
  [ -n "$simulate" ] && { skip sanitize "there is no device" && return; }
  [ -n "$quick" ] && tools=(memcheck racecheck)
  command -v compute-sanitizer >/dev/null || { skip sanitize "compute-sanitizer was not found" && return; }
  for tool in "${tools[@]}"; do
    for line in "${sanitized[@]}"; do
      read -r program filter <<<"$line"
      [ -x "$folder/tests/$program" ] || { skip "$tool $program" "not built" && continue; }
      limited 150 env BINCE_TEST_BACKENDS=cuda \
        compute-sanitizer --tool "$tool" --error-exitcode 9 "$folder/tests/$program" ${filter:+"$filter"}
      if grep -q 'Device not supported' "$scratch"; then
        keep "$tool $program" sanitize
        skip "$tool $program" "compute-sanitizer does not support this machine"
        continue
      fi
      grep -Eq '(ERROR SUMMARY: [1-9]|RACECHECK SUMMARY: [1-9])' "$scratch" && [ "$status" -eq 0 ] && status=9
      judge "$tool $program" sanitize "$(grep -Eo '(ERROR|RACECHECK) SUMMARY.*' "$scratch" | tail -1)"
    done
  done
}

step_bench() {
  local family=$1 seconds=$(($(time_left) - 45)) options=(--out "$out")
  [ "$seconds" -gt "$bench_seconds" ] && seconds=$bench_seconds
  [ "$seconds" -ge 15 ] || { skip "$family" "the time is up" && return; }
  options+=(--seconds "$seconds")
  [ -n "$quick" ] && options+=(--quick)
  [ -e "bench/gpu/$family.py" ] || { skip "$family" "there is no bench/gpu/$family.py" && return; }
  if [ -n "$simulate" ]; then
    options+=(--simulated)
    [ -n "$python" ] || { skip "$family" "no Python with numpy was found" && return; }
  fi
  [ -n "$python" ] || { skip "$family" "no Python with torch was found; name one in PYTHON" && return; }
  limited $((seconds + 40)) "$python" "bench/gpu/$family.py" "${options[@]}"
  grep -Ev '^  [^ ]+.*: [0-9.]+ s$' "$scratch" | tail -60
  tally "bench $family" bench
}

step_tune() {
  local sizes
  [ -n "$simulate" ] && { skip tune "there is no device" && return; }
  has_target contrastive_tune || { skip tune "there is no contrastive_tune" && return; }
  limited 300 cmake --build "$folder" --parallel "$processors" --target contrastive_tune
  judge "build contrastive_tune" build || return
  for sizes in "4096 4096" "16384 16384 512"; do
    # shellcheck disable=SC2086 # several numbers
    limited 120 "$(find "$folder" -name contrastive_tune -type f | head -1)" $sizes
    show 50
    judge "tune $sizes" tune
  done
}

for step in "${steps[@]}"; do
  echo "$step"
  case "$step" in
    contrastive | entropy | coding) step_bench "$step" ;;
    *) "step_$step" ;;
  esac
  if [ "$step" = build ] && [ "$failed" -gt 0 ]; then break; fi # nothing to run
done
close
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
