#!/bin/sh
# Put models into an image: their weights, and the YAML and templates to serve them with.
#
# usage: bake_models.sh EXAMPLES FOLDER [MODEL ...]
#
# MODEL is one of EXAMPLES/gallery.yaml, or an address that `warmfn add` takes, such as hf:OWNER/REPO/FILE.gguf. Without
# one, FOLDER gets all the YAML and templates and no weights: PULL_MODELS can then fetch some at start.
set -eu

examples=$1
folder=$2
shift 2

if [ $# -eq 0 ]; then
    cp "$examples"/*.yaml "$examples"/*.tmpl "$folder"
fi

for model in "$@"; do
    case $model in
    *:*) warmfn add "$model" --models "$folder" ;;
    *)
        cp "$examples/gallery.yaml" "$examples/$model.yaml" "$folder"
        cp "$examples"/*.tmpl "$folder"
        warmfn pull "$model" --models "$folder"
        ;;
    esac
done
