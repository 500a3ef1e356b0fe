// What every kernel source shares. CuPy compiles the sources for the GPU; the tests compile the same text with g++.
//
// FLARE_KERNEL(name, parameters...) { body } defines a kernel of at most 256 threads a block. Sources use no warp
// intrinsics, no local memory and no textures, so that the body means the same on both.
#pragma once
#ifdef __CUDACC__
#include <cuda_fp16.h>
#define FLARE_KERNEL(name, ...) extern "C" __global__ void __launch_bounds__(256) name(__VA_ARGS__)
#define FLARE_DEVICE __device__ __forceinline__
#else
#include "flare_shim.h"
#endif

// A kernel over a volume runs one thread a voxel, x fastest; the last blocks reach past the end of each axis.
struct Voxel {
    int z, y, x;
};

FLARE_DEVICE Voxel this_voxel() {
    return Voxel{(int)(blockIdx.z * blockDim.z + threadIdx.z), (int)(blockIdx.y * blockDim.y + threadIdx.y),
                 (int)(blockIdx.x * blockDim.x + threadIdx.x)};
}

// A kernel over a flat array runs one thread an element.
FLARE_DEVICE size_t this_element() {
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

FLARE_DEVICE bool inside(const Voxel& voxel, int size_z, int size_y, int size_x) {
    return voxel.z < size_z && voxel.y < size_y && voxel.x < size_x;
}

// Offset of voxel (z, y, x) in an array whose last two axes have these sizes.
FLARE_DEVICE size_t voxel_offset(int z, int y, int x, int size_y, int size_x) {
    return ((size_t)z * size_y + y) * size_x + x;
}

// Floats as unsigned keys of the same order, since there is no atomicMin for float.
FLARE_DEVICE unsigned key_of(float value) {
    const unsigned bits = __float_as_uint(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

FLARE_DEVICE float value_of(unsigned key) {
    return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}
