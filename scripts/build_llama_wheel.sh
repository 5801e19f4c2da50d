#!/bin/sh
# Compile llama-cpp-python into a wheel for machines other than this one.
#
# usage: build_llama_wheel.sh portable|avx2|cuda FOLDER
#
# portable  one CPU library for each generation of processors; the best that runs on the machine is loaded at start
# avx2      one CPU library for everything with AVX2; no choice at start
# cuda      portable and a CUDA library, loaded where there is a driver; for the cards of $CUDA_ARCHITECTURES
set -eu

kind=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)

# Into the folder where llama_cpp looks: by default the libraries are installed a second time into site-packages/lib,
# and those that are loaded at start into site-packages/bin. Without versions in their names: a wheel has no links, so
# that each library would lie in it three times.
options="-DCMAKE_BUILD_TYPE=Release -DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF
    -DCMAKE_PROJECT_ggml_INCLUDE='$here/ggml.cmake'
    -DCMAKE_INSTALL_BINDIR=llama_cpp/lib -DCMAKE_INSTALL_LIBDIR=llama_cpp/lib -DCMAKE_PLATFORM_NO_VERSIONED_SONAME=ON
    -DCMAKE_CXX_FLAGS=\"-include '$here/gcc_amx.h'\""
dispatching="-DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON"
case $kind in
portable) options="$options $dispatching" ;;
# Named one by one: where SOURCE_DATE_EPOCH is set, ggml's defaults leave all of them out.
avx2) options="$options -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_BMI2=ON -DGGML_FMA=ON -DGGML_F16C=ON" ;;
cuda)
    : "${CUDA_ARCHITECTURES:?is not set: say 89-real, for example}"
    options="$options $dispatching -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=$CUDA_ARCHITECTURES"
    ;;
*)
    echo "build_llama_wheel.sh: '$kind' is not a kind of wheel: say portable, avx2 or cuda" >&2
    exit 2
    ;;
esac

# What only a C++ program would use.
surplus="include;llama_cpp/lib/cmake;llama_cpp/lib/pkgconfig;llama_cpp/lib/libllama-common.so"

# Without pip's cache, where a wheel of another kind may lie.
CMAKE_ARGS=$options "${PYTHON:-python3}" -m pip wheel --verbose --no-deps --no-cache-dir --no-binary llama-cpp-python \
    --config-settings "wheel.exclude=$surplus" --constraint "$here/../constraints.txt" --wheel-dir "$folder" \
    llama-cpp-python
