// What the CUDA sources need of CUDA, for g++: indices, barriers, atomics, float16 and the rounded arithmetic.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

namespace flare {

struct Index {
    unsigned x, y, z;
};

inline thread_local Index thread_index, block_index, block_size, grid_size;

void barrier();

struct Kernel {
    const char* name;
    void (*call)(void** arguments);
};

inline std::vector<Kernel>& kernels() {
    static std::vector<Kernel> all;
    return all;
}

struct Registered {
    Registered(const char* name, void (*call)(void**)) { kernels().push_back({name, call}); }
};

template <class T>
T read(const void* place) {
    T value;
    std::memcpy(&value, place, sizeof value);
    return value;
}

template <class... Types, std::size_t... I>
void unpack(void (*kernel)(Types...), void** arguments, std::index_sequence<I...>) {
    kernel(read<Types>(arguments[I])...);
}

// Calls a kernel as cuLaunchKernel does: each argument is read, at its declared width, from behind a pointer.
template <auto kernel>
void call(void** arguments) {
    [&]<class... Types>(void (*)(Types...)) { unpack(kernel, arguments, std::index_sequence_for<Types...>{}); }(kernel);
}

}  // namespace flare

#define FLARE_KERNEL(name, ...)                                                    \
    static void name(__VA_ARGS__);                                                 \
    static const flare::Registered registered_##name{#name, &flare::call<&name>}; \
    static void name(__VA_ARGS__)
#define FLARE_DEVICE static inline

#define threadIdx flare::thread_index
#define blockIdx flare::block_index
#define blockDim flare::block_size
#define gridDim flare::grid_size
#ifndef FLARE_SHARED
#define FLARE_SHARED static thread_local  // the blocks of one OS thread run one after the other
#endif
#define __shared__ FLARE_SHARED
#define __syncthreads() flare::barrier()

using std::max;
using std::min;

struct __half {
    _Float16 value;
};
inline float __half2float(__half half) { return (float)half.value; }
inline __half __float2half_rn(float value) { return {(_Float16)value}; }

// g++ rounds each of these by itself: the build turns contraction off.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline unsigned __float_as_uint(float value) { return flare::read<unsigned>(&value); }
inline float __uint_as_float(unsigned bits) { return flare::read<float>(&bits); }

template <class T, class Better>
T replace_where(T* place, T value, Better better) {
    T old = __atomic_load_n(place, __ATOMIC_RELAXED);
    while (better(value, old) && !__atomic_compare_exchange_n(place, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}
template <class T>
T atomicMin(T* place, T value) {
    return replace_where(place, value, [](T a, T b) { return a < b; });
}
template <class T>
T atomicMax(T* place, T value) {
    return replace_where(place, value, [](T a, T b) { return a > b; });
}
template <class T>
T atomicAdd(T* place, T value) {
    return __atomic_fetch_add(place, value, __ATOMIC_RELAXED);
}
