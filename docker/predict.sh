#!/bin/sh
# FLARE's entry point: each inputs/NAME_0000.nii.gz becomes outputs/NAME.nii.gz, one case at a time.
# A case that fails does not keep the others from running; the exit code then is 1.
cd "$(dirname "$0")" || exit 1
mode="${FLARE_TRT_MODE:-fast}"
failed=0 found=0
for scan in inputs/*_0000.nii.gz; do
    [ -e "$scan" ] || continue
    found=1
    name="$(basename "$scan" _0000.nii.gz)"
    if ! flare-trt segment "$scan" -o "outputs/$name.nii.gz" --model bundle --mode "$mode"; then
        echo "predict.sh: $name failed" >&2
        failed=1
    fi
done
if [ "$found" = 0 ]; then
    echo "predict.sh: no inputs/*_0000.nii.gz" >&2
    exit 1
fi
exit "$failed"
