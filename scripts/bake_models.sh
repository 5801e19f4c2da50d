#!/bin/sh
# Put models into an image: their weights, and the YAML and templates to serve them with.
#
# usage: bake_models.sh EXAMPLES KEPT FOLDER [MODEL ...]
#
# MODEL is one of EXAMPLES/gallery.yaml, or an address that `warmfn add` takes, such as hf:OWNER/REPO/FILE.gguf. Without
# one, FOLDER gets all the YAML and templates and no weights: PULL_MODELS can then fetch some at start. What is fetched
# stays in KEPT, so that the next build need not fetch it again.
set -eu

examples=$1
kept=$2
folder=$3
shift 3

if [ $# -eq 0 ]; then
    cp "$examples"/*.yaml "$examples"/*.tmpl "$folder"
fi

for model in "$@"; do
    fetched=$kept/$(printf %s "$model" | tr -c '[:alnum:]._-' _)
    mkdir -p "$fetched"
    case $model in
    *:*)
        rm -f "$fetched"/*.yaml # which is written anew; weights that are there already are not fetched again
        warmfn add "$model" --models "$fetched"
        ;;
    *)
        cp "$examples/gallery.yaml" "$examples/$model.yaml" "$fetched"
        cp "$examples"/*.tmpl "$fetched"
        warmfn pull "$model" --models "$fetched"
        ;;
    esac
    cp -R "$fetched/." "$folder"
done
