#!/bin/bash
# Change one module of the library in many small ways, one at a time, and show the changes that its own tests do not
# notice or do not reach. It happens in a copy, so that nobody else meets a mutant; mutmut comes from PyPI on top of
# .venv and is not installed there.
# usage: [SAMPLE=60] tests/mutants.sh statistics|engine|networks|training|studies
#   SAMPLE: so many changes, drawn at random with a fixed seed, instead of all; then half an hour is enough.
set -euo pipefail
cd "$(dirname "$0")/.."
case $1 in
    statistics) mutated=statistics.py tests=tests/test_statistics.py ;;
    engine) mutated="engine/*" tests="tests/engine tests/studies" ;;
    networks | training) mutated="$1/*" tests=tests/$1 ;;
    studies) mutated="studies/*/values.py" tests="tests/studies tests/evidence/test_claims.py" ;;
    *) echo "error: MODULE=$1 is not statistics, engine, networks, training or studies" >&2 && exit 2 ;;
esac
pytest=$(grep -o '^pytest==[^ ]*' requirements.lock)
run=(nice uv run --quiet --no-project --python "$PWD/.venv/bin/python" --with mutmut==3.8.1 --with "$pytest" --)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r config report workflow tests pyproject.toml requirements.lock "$copy"
cp -r scripts "$copy/src"  # where mutmut knows how to name modules; tests and pytest still say scripts
cd "$copy"
mkdir mutants && ln -s src mutants/scripts
# torch does not survive a plain fork, hence the server. A mutant that hangs is given up after a minute.
cat > setup.cfg << END
[mutmut]
source_paths = src
only_mutate = src/unravel/$mutated
pytest_add_cli_args_test_selection =$(printf '\n    %s' $tests)
also_copy =$(printf "\n    %s" config report workflow requirements.lock)
process_isolation = forkserver
timeout_constant = 4.0
END
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
names=()
if [ -n "${SAMPLE:-}" ]; then
    "${run[@]}" mutmut run nothing > made.log 2>&1 || true  # makes all mutants and tries none
    mapfile -t names < <(python - "$SAMPLE" << END
import json, pathlib, random, sys
made = {name for path in pathlib.Path("mutants/src").rglob("*.meta") for name in json.loads(path.read_text())["exit_code_by_key"]}
print(*random.Random(1).sample(sorted(made), min(int(sys.argv[1]), len(made))), sep="\n")
END
)
fi
"${run[@]}" mutmut run "${names[@]}"
"${run[@]}" mutmut results --all true | sed -n 's/.*: //p' | sort | uniq -c
"${run[@]}" mutmut results | sed -nE 's/^ *(.*): (survived|no tests)$/\1/p' | xargs -rn1 "${run[@]}" mutmut show
