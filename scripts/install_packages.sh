#!/bin/sh
# Make a virtual environment of the packages that warmfn needs, without warmfn itself, as the images have it.
#
# usage: install_packages.sh FOLDER WHEELS [TORCH_INDEX]
#
# WHEELS has the wheel of build_llama_wheel.sh; torch comes from TORCH_INDEX if it has the version that is wanted.
set -eu

folder=$1
wheels=$2
torch_index=${3:-}
source=$(cd "$(dirname "$0")/.." && pwd)

# With pip: `warmfn pull` fetches some models with it.
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" - "$source/pyproject.toml" embeddings runpod >"$folder/requirements.txt" <<'EOF'
import sys, tomllib

file, *extras = sys.argv[1:]
project = tomllib.load(open(file, "rb"))["project"]
for packages in (project["dependencies"], *map(project["optional-dependencies"].get, extras)):
    print(*packages, sep="\n")
EOF
"$folder/bin/python" -m pip install --no-cache-dir --disable-pip-version-check --constraint "$source/constraints.txt" \
    --find-links "$wheels" --only-binary llama-cpp-python ${torch_index:+--extra-index-url "$torch_index"} \
    --requirement "$folder/requirements.txt"
