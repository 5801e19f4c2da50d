#!/bin/sh
# Install warmfn into an environment of install_packages.sh, so that it needs nothing else of this repository.
#
# usage: install_warmfn.sh FOLDER [ROOT]
#
# With a ROOT its files are put there, as they are to lie in FOLDER: /opt/warmfn/bin/warmfn in ROOT/opt/warmfn/bin/warmfn.
set -eu

folder=$1
root=${2:-/}
source=$(cd "$(dirname "$0")/.." && pwd)

"$folder/bin/python" -m pip install --no-cache-dir --disable-pip-version-check --no-deps --root "$root" "$source"
