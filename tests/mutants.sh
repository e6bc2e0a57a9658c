#!/bin/bash
# Change one module of the library in many small ways, one at a time, and show the changes that its own tests do not
# notice or do not reach. It happens in a copy, so that nobody else meets a mutant; mutmut comes from PyPI on top of
# .venv and is not installed there.
# usage: tests/mutants.sh statistics|engine|networks|training|studies
set -euo pipefail
cd "$(dirname "$0")/.."
case $1 in
    statistics) mutated=statistics.py tests=tests/test_statistics.py ;;
    engine | networks | training) mutated="$1/*" tests=tests/$1 ;;
    studies) mutated="studies/*/values.py" tests="tests/studies tests/evidence/test_claims.py" ;;
    *) echo "error: MODULE=$1 is not statistics, engine, networks, training or studies" >&2 && exit 2 ;;
esac
pytest=$(grep -o '^pytest==[^ ]*' requirements.lock)
run=(nice uv run --quiet --no-project --python "$PWD/.venv/bin/python" --with mutmut==3.8.1 --with "$pytest" --)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r config report workflow tests pyproject.toml "$copy"
cp -r scripts "$copy/src"  # where mutmut knows how to name modules; tests and pytest still say scripts
cd "$copy"
mkdir mutants && ln -s src mutants/scripts
# torch does not survive a plain fork, hence the server. A mutant that hangs is given up after a minute.
cat > setup.cfg << END
[mutmut]
source_paths = src
only_mutate = src/unravel/$mutated
pytest_add_cli_args_test_selection =$(printf '\n    %s' $tests)
also_copy =$(printf '\n    %s' config report workflow)
process_isolation = forkserver
timeout_constant = 4.0
END
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
"${run[@]}" mutmut run
"${run[@]}" mutmut results | sed -nE 's/^ *(.*): (survived|no tests)$/\1/p' | xargs -rn1 "${run[@]}" mutmut show
