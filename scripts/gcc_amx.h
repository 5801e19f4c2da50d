// Force-included when llama.cpp is compiled (see Makefile).
//
// GCC before 12.4 and 13.3 declares that `ldtilecfg` reads 8 bytes instead of 64 (GCC bug 114098), so it drops the
// stores that fill the rest of ggml's tile configuration. A native build then dies of a general protection fault at the
// first batch of two tokens on every CPU with AMX (Xeon Sapphire Rapids and later).
#if defined(__GNUC__) && !defined(__clang__) && defined(__AMX_TILE__)
#include <immintrin.h>
static inline void warmfn_tile_loadconfig(const void * config) {
    __asm__ volatile("ldtilecfg %0" : : "m"(*(const char (*)[64]) config));
}
#define _tile_loadconfig warmfn_tile_loadconfig
#endif
