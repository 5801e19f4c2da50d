#!/bin/sh
# Fetches models into this folder: `warmfn pull` under the name that people look for.
set -eu

usage() {
    cat <<'EOF'
usage: download_model.sh NAME|URL ...
       download_model.sh --list

  NAME   a model of gallery.yaml, as --list shows them
  URL    https://... | hf:OWNER/REPO/FILE.gguf[@REVISION] | github:OWNER/REPO/PATH@BRANCH

The files come to lie beside this script. A download that broke off is gone on from, and a SHA-256 is checked where one
is known. HF_TOKEN is used for gated models. Needs warmfn: on the PATH, or in ../.venv as `make run` puts it there.
EOF
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    '') usage >&2; exit 2 ;;
esac

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if command -v warmfn >/dev/null 2>&1; then
    warmfn=warmfn
elif [ -x "$folder/../.venv/bin/warmfn" ]; then
    warmfn=$folder/../.venv/bin/warmfn
else
    echo "download_model.sh: there is no warmfn on the PATH and none in $folder/../.venv: install it (pip install warmfn," \
        "or make run in the repository), then try again." >&2
    exit 1
fi

exec "$warmfn" pull --models "$folder" "$@"
