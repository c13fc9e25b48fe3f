#!/bin/sh
# What a GPU does with fumikura, in six minutes at most: benchmarks/gpu.sh OUT ARCHIVE [TRUTH]
#
# Every step has its own limit, and its answer in OUT/NAME.txt; what failed does not keep the others from
# running. At the end OUT/gpu.json holds a line of JSON for each step: its name, seconds, exit code, answer.
# DEVICE=cpu goes through the same steps where there is no GPU, on few pages and with ten times the patience: to
# see that they work. ONLY='bench_4 training' runs these steps alone. Needs `pip install -e '.[dev,gpu]'`; PYTHON
# names another python, beside which `fumikura` lies.
set -u
out=$1 archive=$2 truth=${3:-samples/coordinate.csv}
device=${DEVICE:-cuda:0} python=${PYTHON:-python}
fumikura=$(dirname "$(command -v "$python")")/fumikura
mkdir -p "$out" && : > "$out/gpu.json" || exit 2

# step NAME SECONDS COMMAND...
step() {
    name=$1 limit=$(($2 * patience))
    shift 2
    case " ${ONLY:-$name} " in *" $name "*) ;; *) return ;; esac
    began=$(date +%s)
    timeout "$limit" "$@" > "$out/$name.txt" 2> "$out/$name.err"
    code=$?
    "$python" - "$out" "$name" $(($(date +%s) - began)) $code << 'END' >> "$out/gpu.json"
import json, pathlib, sys
out, name, seconds, code = sys.argv[1:]
answer = (pathlib.Path(out) / f"{name}.txt").read_text(errors="replace")
try:
    answer = [json.loads(line) for line in answer.splitlines()]
except ValueError:
    pass
print(json.dumps({"step": name, "seconds": int(seconds), "exit_code": int(code), "answer": answer}, ensure_ascii=False))
END
    [ $code -eq 0 ] || { failed=1; echo "$name: exit code $code, see $out/$name.err" >&2; }
}

failed=0
if [ "$device" = cpu ]; then
    n_pages=2 n_agree=1 n_steps=1 backend=eager batches=2 patience=10
else
    n_pages=400 n_agree=12 n_steps=150 backend=inductor batches='4 16 32' patience=1
    step cuda_tests 45 "$python" -m pytest -q -m cuda tests/test_reader.py
    step roofline 30 "$python" -m benchmarks.roofline "$archive" "$device"
fi
step agreement 45 "$python" -m benchmarks.agreement --device "$device" --pages $n_agree "$archive"
for batch in $batches; do
    step "bench_$batch" 30 env FUMIKURA_PAGES_PER_BATCH="$batch" FUMIKURA_PATCHES_PER_BATCH="$batch" \
        "$fumikura" bench "$archive" --pages $n_pages --devices "$device" --json
done
step trials 60 "$python" -m benchmarks.gpu_trials "$archive" --device "$device" --backend $backend --pages $n_agree
step training 90 "$fumikura" train segmenter samples --truth "$truth" --out "$out/training" \
    --steps $n_steps --device "${device%:*}"
exit $failed
