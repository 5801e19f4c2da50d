"""Everything that touches llama.cpp."""

from core.compute import limit_openmp_spin

limit_openmp_spin()  # before llama_cpp is imported: a build that is not ours (see Makefile) may use OpenMP
