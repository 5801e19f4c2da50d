# Included by CMake after ggml's project() when llama.cpp is compiled (see Makefile), where its sources are pip's copy.
# Two changes of ggml's CPU library:
#
# Threads that wait for the others at a barrier spin for ever. If a busy neighbour drives two of them onto one core, each
# spins through its time slice while the other has work to do: a step of 5 ms took 3 s. Those that have spun for some 50
# microseconds now offer their core at every turn.
#
# On x86 ggml's flash attention sums values in float16: each cell's sum is converted, added to, converted back and
# stored before the next can be read. With sums in float32, which are also more exact, SmolLM2 on 2 cores generates 1.3
# to 1.6 times as fast in one stream and in eight. Without flash attention it is no faster up to 1000 tokens, by an
# eighth faster at 2200, and reads prompts at two thirds of the speed.
# The feature that it adds tells core/llama that flash attention pays here.
function(warmfn_replace file old new)
    file(READ ${file} text)
    string(REPLACE "${old}" "${new}" changed "${text}")
    string(FIND "${changed}" "${new}" found)
    if(found EQUAL -1)
        message(FATAL_ERROR "${file} has no `${old}`: scripts/ggml.cmake is for the llama.cpp of constraints.txt")
    endif()
    file(WRITE ${file} "${changed}")
endfunction()

set(cpu ${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu)
warmfn_replace(${cpu}/ggml-cpu.c
    "    while (atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) == n_passed) {\n        ggml_thread_cpu_relax();"
    "    for (int i = 0; atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) == n_passed; i += i < 1000) {\n        i < 1000 ? ggml_thread_cpu_relax() : (void) sched_yield();")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    warmfn_replace(${cpu}/ops.cpp "if (v->type == GGML_TYPE_F16) {" "if (false) {")
    warmfn_replace(${cpu}/ops.cpp "v_to_float     = ggml_get_type_traits(v->type)->to_float"
        "v_to_float     = v->type == GGML_TYPE_F16 ? (ggml_to_float_t) ggml_cpu_fp16_to_fp32 : ggml_get_type_traits(v->type)->to_float")
    warmfn_replace(${cpu}/ggml-cpu.cpp "    #ifdef GGML_USE_OPENMP\n"
        "    features.push_back({ \"F32_VALUE_SUMS\", \"1\" });\n#ifdef GGML_USE_OPENMP\n")
endif()
